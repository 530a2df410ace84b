"""The 1,797 handwritten digits that scikit-learn carries: real data without a download."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.config import Fraction, ImageSize, OpenFraction
from pipeline.data.source_config import SourceConfig
from pipeline.data.splits import Splits, splits_from_arrays, stratified_split

ORIENTATION_MATTERS = True


class DigitsConfig(SourceConfig):
    """The 8×8 digits of scikit-learn, 0..16 scaled to 0..255."""

    source: Literal["digits"]
    image_size: ImageSize = Field((8, 8), description="Height and width that images are scaled to.")
    validation: OpenFraction = Field(0.15, description="Share held out to choose the best epoch.")
    test: Fraction = Field(0.15, description="Share held out to be looked at once, at the end.")


CONFIG = DigitsConfig


def class_names(config: DigitsConfig) -> tuple[str, ...]:
    return tuple("0123456789")


def load(config: DigitsConfig) -> Splits:
    """Return the digits, split with the same share of every class."""
    import numpy as np
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    return splits_from_arrays(
        pixels[..., np.newaxis],
        digits.target,
        image_size=config.image_size,
        class_names=class_names(config),
        parts=stratified_split(
            digits.target, shares=(config.validation, config.test), seed=config.split_seed
        ),
    )
