"""Data sources, and the batches made of their images.

A new source is one file like `digits.py` and one line in `sources.SOURCES`.
"""
