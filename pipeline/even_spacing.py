"""Evenly spaced examples, where a few stand for many."""

from __future__ import annotations


def evenly_spaced(count: int, *, at_most: int) -> list[int]:
    """Return up to `at_most` evenly spaced indices below `count`."""
    size = min(count, at_most)
    return [number * count // size for number in range(size)]
