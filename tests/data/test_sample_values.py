"""The scaling of images with more than 8 bits a sample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from pipeline.data.image_decoding import Decoding, decode_image

Encode = Callable[..., bytes]
Range = tuple[float, float] | None


def read(data: bytes, value_range: Range = None, *, width: int) -> list[int]:
    """Return the pixels of an image that is one pixel high."""
    pixels = decode_image(data, Decoding((1, width), "crop", 1, value_range))
    return list(pixels[0, :, 0])


@pytest.mark.parametrize(
    ("dtype", "file_format", "samples", "value_range", "expected"),
    [
        ("<u2", "PNG", [0, 256, 32768, 65535], None, [0, 1, 128, 255]),
        ("<u2", "TIFF", [0, 256, 32768, 65535], None, [0, 1, 128, 255]),
        (">u2", "TIFF", [0, 256, 32768, 65535], None, [0, 1, 128, 255]),
        ("<u2", "JPEG2000", [0, 256, 32768, 65535], None, [0, 1, 128, 255]),
        ("<u2", "PNG", [0, 16, 2048, 4095, 5000], (0, 4095), [0, 1, 128, 255, 255]),
        (">u2", "TIFF", [0, 16, 2048, 4095, 5000], (0, 4095), [0, 1, 128, 255, 255]),
        ("i4", "TIFF", [-2000, -1024, 1024, 3071], (-1024, 3071), [0, 0, 128, 255]),
        ("i4", "TIFF", [-(2**31), 0, 2**31 - 1], None, [0, 128, 255]),
        ("f4", "TIFF", [-1, 0, 0.5, 1, np.nan, np.inf], None, [0, 0, 128, 255, 0, 255]),
        ("f4", "TIFF", [0, 10, 20], (10, 20), [0, 0, 255]),
        ("<u2", "PNG", [7, 7], (7, 7), [0, 0]),
    ],
)
def test_samples_are_scaled_from_their_range(
    encode: Encode,
    dtype: str,
    file_format: str,
    samples: list[float],
    value_range: Range,
    expected: list[int],
) -> None:
    data = encode(Image.fromarray(np.array([samples], dtype)), file_format)
    assert read(data, value_range, width=len(samples)) == expected


def test_a_tiff_of_unsigned_32_bits_is_not_taken_for_a_signed_one(encode: Encode) -> None:
    samples = np.array([[0, 2**31, 2**32 - 1]], np.uint32)
    data = encode(Image.fromarray(samples.view(np.int32)), "TIFF")
    signed = b"\x53\x01\x03\x00\x01\x00\x00\x00\x02\x00"  # the tag 339, the format of samples
    assert signed in data
    assert read(data.replace(signed, signed[:-2] + b"\x01\x00"), width=3) == [0, 128, 255]


def test_where_zero_is_white_the_samples_are_inverted(encode: Encode) -> None:
    samples = np.array([[0, 65535]], np.uint16)
    data = encode(Image.fromarray(samples), "TIFF", tiffinfo={262: 0})
    assert read(data, width=2) == [255, 0]


@pytest.mark.parametrize("value_range", [None, (0, 255)])
def test_a_file_that_states_its_highest_value_is_scaled_by_it(value_range: Range) -> None:
    data = b"P5 3 1 4095\n" + np.array([0, 2048, 4095], ">u2").tobytes()
    assert read(data, value_range, width=3) == [0, 128, 255]


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_8_bits_are_never_rescaled(photo: Image.Image, encode: Encode, mode: str) -> None:
    data = encode(photo.convert(mode), "PNG")
    expected = decode_image(data, Decoding((64, 96), "crop"))
    ranged = decode_image(data, Decoding((64, 96), "crop", value_range=(0.0, 4095.0)))
    np.testing.assert_array_equal(ranged, expected)


def test_a_wide_image_of_many_rows_is_scaled_from_top_to_bottom(
    photo: Image.Image, encode: Encode
) -> None:
    large = np.asarray(photo.convert("L").resize((1800, 1200)))  # more than is scaled at once
    data = encode(Image.fromarray(large.astype(np.uint16) * 257), "PNG")
    pixels = decode_image(data, Decoding((1200, 1800), "crop", 1))
    np.testing.assert_array_equal(pixels[..., 0], large)


def test_a_wide_image_that_lies_on_its_side_is_turned(photo: Image.Image, encode: Encode) -> None:
    gray = np.asarray(photo.convert("L"))
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = Image.fromarray(np.rot90(gray).astype(np.uint16) * 257)
    for file_format in ("PNG", "TIFF"):
        data = encode(lying, file_format, exif=exif)
        pixels = decode_image(data, Decoding((64, 96), "crop", 1))
        np.testing.assert_array_equal(pixels[..., 0], gray)
