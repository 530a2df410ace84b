"""How far the outputs that two implementations of a model compute are from each other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OutputDifference:
    """The difference between two computations of the outputs of the same images.

    Attributes:
        changed: the images whose answer differs.
        largest: difference between two outputs; of numbers, as a share of the largest of them.
    """

    changed: int
    largest: float
