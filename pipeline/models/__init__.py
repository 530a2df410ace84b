"""An architecture each: from plain values to an uncompiled keras.Model that takes raw pixels.

A new architecture is one file like `mlp.py` and one line in `architectures.ARCHITECTURES`.
"""
