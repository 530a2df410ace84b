"""Architectures: from a section of the recipe to a keras.Model that takes raw pixels.

A new architecture is one file like `mlp.py` and one line in `architectures.ARCHITECTURES`.
"""
