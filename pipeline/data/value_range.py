"""The range of sample values that becomes 0..255, for images with more than 8 bits a sample."""

from __future__ import annotations

import logging

import numpy as np

from pipeline.config import RangeSetting

logger = logging.getLogger(__name__)

_USUAL_BITS = (8, 10, 12, 14, 16)  # of cameras, scanners and detectors, stored in 16 or 32 bits


def resolve_range(
    setting: RangeSetting, lowest: np.ndarray, highest: np.ndarray
) -> tuple[float, float] | None:
    """Return the range that a setting means for a data set, and log what `auto` chose.

    Args:
        setting: `data.range` of the recipe.
        lowest: float (n,), the lowest sample of each training image, NaN for those with 8 bits.
        highest: float (n,), the highest, likewise.

    Returns:
        The samples that become 0 and 255; None for the range of each image's type.
    """
    if setting == "dtype":
        return None
    if setting != "auto":
        return setting
    is_wide = ~np.isnan(lowest)
    if not is_wide.any():
        return None
    low, high = float(lowest[is_wide].min()), float(highest[is_wide].max())
    chosen = _fitting_range(low, high)
    logger.info(
        f"Scaling images with more than 8 bits from {_text(chosen)}: the training images have "
        f"samples from {_text((low, high))}. Set data.range to change it"
    )
    return chosen


def _fitting_range(low: float, high: float) -> tuple[float, float]:
    """Return the usual range that samples lie in, or from the lowest to the highest of them."""
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    if low >= 0 and low.is_integer() and high.is_integer():
        for bits in _USUAL_BITS:
            if high < 2**bits:
                return 0.0, 2.0**bits - 1
    return low, high if high > low else low + 1


def describe_clipping(
    value_range: tuple[float, float] | None, lowest: np.ndarray, highest: np.ndarray
) -> str:
    """Return how many images have samples that are clipped, or an empty string if none has.

    Args:
        value_range: the samples that become 0 and 255.
        lowest: float (n,), the lowest sample of each image, NaN for those with 8 bits.
        highest: float (n,), the highest, likewise.
    """
    if value_range is None:
        return ""
    low, high = value_range
    count = int(np.count_nonzero((lowest < low) | (highest > high)))
    if not count:
        return ""
    return (
        f"Samples of {count:,} of {len(lowest):,} images are clipped to {_text(value_range)}: they "
        f"go from {_text((np.nanmin(lowest), np.nanmax(highest)))}. Set data.range to change it."
    )


def _text(value_range: tuple[float, float]) -> str:
    return f"{value_range[0]:,.7g} to {value_range[1]:,.7g}"
