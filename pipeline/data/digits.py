"""The 1,797 handwritten digits that scikit-learn carries: real data without a download."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import Field

from pipeline.data.keys import SourceKeys
from pipeline.data.splits import Splits, array_splits, held_out
from pipeline.section import Fraction, OpenFraction, Size

ORIENTATION_MATTERS = True


class Keys(SourceKeys):
    """The 8×8 digits of scikit-learn, 0..16 scaled to 0..255."""

    source: Literal["digits"]
    image_size: Size = Field((8, 8), description="Height and width that images are scaled to.")
    validation: OpenFraction = Field(0.15, description="Share held out to choose the best epoch.")
    test: Fraction = Field(0.15, description="Share held out to be looked at once, at the end.")


def class_names(keys: Keys) -> tuple[str, ...]:
    return tuple("0123456789")


def load(keys: Keys, *, say: Callable[[str], None]) -> Splits:
    """Return the digits, split with the same share of every class."""
    import numpy as np
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    return array_splits(
        pixels[..., np.newaxis],
        digits.target,
        image_size=keys.image_size,
        class_names=class_names(keys),
        parts=held_out(digits.target, shares=(keys.validation, keys.test), seed=keys.split_seed),
    )
