"""The sample values of images with more than 8 bits a sample, and their scaling to 0..255."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

_WIDE_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N", "F"})
_SCALED_BY_PILLOW = frozenset({"PPM", "JPEG2000"})  # their header states the highest value
_SAMPLES_AT_ONCE = 2**20

_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # tags of a TIFF
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3


def is_wide(image: Image.Image) -> bool:
    """Return whether an image has more than 8 bits a sample, which need a range of values."""
    return image.mode in _WIDE_MODES


def has_stated_range(image: Image.Image) -> bool:
    """Return whether the file of a wide image states the highest value that a sample can have."""
    return image.format in _SCALED_BY_PILLOW and image.mode != "F"


def sample_bits(image: Image.Image) -> int:
    """Return the bits of a sample: 8 or less, or of a wide image the 12, 16 or 32 of its file."""
    if not is_wide(image):
        return 8
    if image.mode == "F":
        return 32
    if image.mode == "I" and not has_stated_range(image):
        return int(_tag(image, _BITS, 32))
    return int(_tag(image, _BITS, 16))


def type_range(image: Image.Image) -> tuple[float, float]:
    """Return the lowest and the highest value of a wide image's type, 0 and 1 for real numbers."""
    bits = sample_bits(image)
    kind = _FLOAT if image.mode == "F" else _tag(image, _SAMPLE_FORMAT, _UNSIGNED)
    if kind == _FLOAT:
        return 0.0, 1.0
    if kind == _SIGNED:
        return -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
    return 0.0, 2.0**bits - 1


def extreme_samples(image: Image.Image) -> tuple[float, float]:
    """Return the lowest and the highest sample of a wide image; infinite ones and NaN are ignored.

    Raises:
        ValueError: if no sample is finite.
    """
    lowest, highest = np.inf, -np.inf
    for samples in _strips(image):
        finite = samples if image.mode != "F" else samples[np.isfinite(samples)]
        if finite.size:
            lowest, highest = min(lowest, finite.min()), max(highest, finite.max())
    if lowest > highest:
        raise ValueError("none of its samples is a finite number")
    return float(lowest), float(highest)


def scale_to_8_bits(image: Image.Image, value_range: tuple[float, float] | None) -> Image.Image:
    """Return a wide image as one of mode `L`.

    Args:
        image: a wide image.
        value_range: the samples that become 0 and 255; those beyond are clipped, and NaN becomes 0.
            None for the range of the image's type. It is not used if the file states its own range.
    """
    low, high = type_range(image)
    if value_range and not has_stated_range(image):
        low, high = value_range
    scaled = np.empty((image.height, image.width), np.uint8)
    top = 0
    for samples in _strips(image):
        values = (samples.astype(np.float64) - low) * (255 / (high - low or 1))
        values = np.nan_to_num(values.clip(0, 255), copy=False)
        np.rint(values, out=scaled[top : top + len(values)], casting="unsafe")
        top += len(values)
    if _tag(image, _PHOTOMETRIC, 1) == 0:  # the lowest value is white, which Pillow leaves as it is
        np.subtract(255, scaled, out=scaled)
    return Image.fromarray(scaled)


def _strips(image: Image.Image) -> Iterator[np.ndarray]:
    """Yield the samples from top to bottom, (rows, width), without copying all of them at once."""
    rows = max(_SAMPLES_AT_ONCE // image.width, 1)
    is_unsigned = image.mode == "I" and _tag(image, _SAMPLE_FORMAT, _SIGNED) == _UNSIGNED
    for top in range(0, image.height, rows):
        strip = np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))))
        yield strip.view(np.uint32) if is_unsigned else strip


def _tag(image: Image.Image, number: int, default: int) -> int:
    """Return a tag of a TIFF, or its first value."""
    value = getattr(image, "tag_v2", {}).get(number, default)
    return int(value[0] if isinstance(value, tuple) else value)
