"""A source of images each, and what turns them into batches.

A new source is one file like `digits.py` and one line in `sources.SOURCES`.
"""
