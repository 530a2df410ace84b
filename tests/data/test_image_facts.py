"""The facts of image files."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from pipeline.data.image_decoding import BadImageError
from pipeline.data.image_facts import ImageFacts, inspect_image

Encode = Callable[..., bytes]


def test_a_photograph_has_8_bits_and_no_range(photo: Image.Image, encode: Encode) -> None:
    assert inspect_image(encode(photo, "WEBP")) == ImageFacts("WebP", "RGB", 96, 64, 8, None, None)


def test_a_photograph_that_lies_on_its_side_is_measured_upright(
    photo: Image.Image, encode: Encode
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    facts = inspect_image(encode(photo, "JPEG", exif=exif))
    assert (facts.width, facts.height) == (64, 96)


@pytest.mark.parametrize(
    ("dtype", "file_format", "mode", "bits"),
    [
        ("<u2", "PNG", "I;16", 16),
        ("<u2", "TIFF", "I;16", 16),
        (">u2", "TIFF", "I;16", 16),
        ("int32", "TIFF", "I", 32),
        ("float32", "TIFF", "F", 32),
    ],
)
def test_the_samples_of_a_wide_image_are_measured(
    photo: Image.Image, encode: Encode, dtype: str, file_format: str, mode: str, bits: int
) -> None:
    samples = np.asarray(photo.convert("L")).astype(dtype) * 16
    data = encode(Image.fromarray(samples), file_format)
    lowest, highest = float(samples.min()), float(samples.max())
    assert inspect_image(data) == ImageFacts(file_format, mode, 96, 64, bits, lowest, highest)


def test_a_file_that_states_its_own_range_needs_no_other() -> None:
    data = b"P5 2 1 4095\n" + np.array([0, 4095], ">u2").tobytes()
    assert inspect_image(data) == ImageFacts("PPM", "I", 2, 1, 16, None, None)


def test_infinite_and_missing_samples_are_ignored(encode: Encode) -> None:
    samples = np.array([[np.nan, -np.inf, 0.25, 0.5, np.inf]], np.float32)
    facts = inspect_image(encode(Image.fromarray(samples), "TIFF"))
    assert (facts.lowest, facts.highest) == (0.25, 0.5)


def test_an_image_without_a_number_is_rejected(encode: Encode) -> None:
    samples = np.full((2, 2), np.nan, np.float32)
    with pytest.raises(BadImageError) as caught:
        inspect_image(encode(Image.fromarray(samples), "TIFF"))
    assert str(caught.value) == "none of its samples is a finite number"
