"""The formats of image files, each read by its content."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from pipeline.data.image_decoding import BadImageError, Decoding, decode_image
from pipeline.data.image_formats import FORMATS, SUFFIXES, image_format

Encode = Callable[..., bytes]
Case = tuple[str, str, dict[str, Any], float]

SIZE = Decoding((64, 96), "crop")
# What Pillow calls the format, what we call it, how it is written, the largest mean difference.
CASES: dict[str, Case] = {
    "jpeg": ("JPEG", "JPEG", {"quality": 95}, 3),
    "progressive jpeg": ("JPEG", "JPEG", {"quality": 95, "progressive": True}, 3),
    "mpo": ("MPO", "JPEG", {"quality": 95, "save_all": True}, 3),
    "png": ("PNG", "PNG", {}, 0),
    "gif": ("GIF", "GIF", {}, 8),
    "webp": ("WEBP", "WebP", {"quality": 95}, 5),
    "lossless webp": ("WEBP", "WebP", {"lossless": True}, 0),
    "bmp": ("BMP", "BMP", {}, 0),
    "tiff": ("TIFF", "TIFF", {}, 0),
    "lzw tiff": ("TIFF", "TIFF", {"compression": "tiff_lzw"}, 0),
    "deflated tiff": ("TIFF", "TIFF", {"compression": "tiff_adobe_deflate"}, 0),
    "jpeg tiff": ("TIFF", "TIFF", {"compression": "jpeg", "quality": 95}, 3),
    "big tiff": ("TIFF", "TIFF", {"big_tiff": True}, 0),
    "avif": ("AVIF", "AVIF", {"quality": 95}, 4),
    "heic": ("HEIC", "HEIC", {"quality": 95}, 4),
    "jpeg 2000": ("JPEG2000", "JPEG 2000", {}, 0),
    "j2k stream": ("JPEG2000", "JPEG 2000", {"no_jp2": True}, 0),
    "ppm": ("PPM", "PPM", {}, 0),
    "tga": ("TGA", "TGA", {}, 0),
    "rle tga": ("TGA", "TGA", {"compression": "tga_rle"}, 0),
    "pcx": ("PCX", "PCX", {}, 0),
    "sgi": ("SGI", "SGI", {}, 0),
}
# One of each decoder, for damage.
DECODERS = [name for name in CASES if name not in ("mpo", "big tiff", "deflated tiff")]


def test_pillow_reads_avif_and_webp_and_compressed_tiff_here() -> None:
    assert all(features.check(name) for name in ("avif", "webp", "libtiff", "jpg_2000", "jpg"))


@pytest.mark.parametrize("case", CASES)
def test_a_photograph_is_nearly_the_same_in_every_format(
    photo: Image.Image, encode: Encode, case: str
) -> None:
    file_format, name, options, most = CASES[case]
    data = encode(photo, file_format, **options)
    pixels = decode_image(data, SIZE)
    recognized = image_format(data)
    assert recognized
    assert recognized.name == name
    difference = np.abs(pixels.astype(float) - np.asarray(photo).astype(float)).mean()
    assert difference <= most


def test_each_format_has_a_test() -> None:
    assert {name for _, name, _, _ in CASES.values()} == {known.name for known in FORMATS}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"BMW and Audi are names of cars, not of images.\n",
        b"P5 is a fine name.\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'/>",
        b"%PDF-1.7\n",
        b"\0\0\0\x18ftypmp42\0\0\0\0isommp42",
        b"name,class\n1,ant\n",
        b"PK\x03\x04" + bytes(100),
        b"\x7fELF" + bytes(100),
        bytes(5000),
    ],
    ids=["none", "BM", "P5", "eps", "svg", "pdf", "video", "csv", "zip", "program", "zeros"],
)
def test_other_content_is_no_image(data: bytes) -> None:
    assert image_format(data) is None


def test_eps_is_never_opened(photo: Image.Image, encode: Encode) -> None:
    assert image_format(encode(photo, "EPS")) is None
    assert ".eps" not in SUFFIXES


def test_cameras_raw_files_are_rejected_because_only_their_preview_is_read(
    photo: Image.Image, encode: Encode
) -> None:
    data = encode(photo, "TIFF", tiffinfo={50706: b"\1\4\0\0"})
    with pytest.raises(BadImageError) as caught:
        decode_image(data, SIZE)
    assert str(caught.value) == (
        "its first page is a preview, as in a camera's raw file; convert it to JPEG or TIFF"
    )


def test_heic_without_the_extra_says_what_to_install(
    photo: Image.Image, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encode(photo, "HEIC")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(BadImageError) as caught:
        decode_image(data, SIZE)
    assert str(caught.value) == (
        "HEIC images require the package pillow_heif. Install it: pip install -c constraints.txt "
        "-e '.[heic]'"
    )


def test_reading_heic_registers_nothing_with_pillow(photo: Image.Image, encode: Encode) -> None:
    decode_image(encode(photo, "HEIC"), SIZE)
    Image.init()
    assert "HEIF" not in Image.OPEN


@pytest.mark.parametrize("case", DECODERS)
def test_a_file_that_is_cut_in_half_is_rejected_with_a_reason(
    photo: Image.Image, encode: Encode, case: str
) -> None:
    file_format, _, options, _ = CASES[case]
    data = encode(photo, file_format, **options)
    with pytest.raises(BadImageError) as caught:
        decode_image(data[: len(data) // 2], SIZE)
    assert len(str(caught.value)) > 10


def outcome(data: bytes) -> str:
    try:
        assert decode_image(data, SIZE).shape == (64, 96, 3)
    except BadImageError as error:
        return str(error)
    return "decoded"


@pytest.mark.parametrize("case", DECODERS)
def test_files_cut_anywhere_give_an_image_or_a_reason(
    photo: Image.Image, encode: Encode, case: str
) -> None:
    file_format, _, options, _ = CASES[case]
    data = encode(photo, file_format, **options)
    for length in np.random.default_rng(1).integers(len(data), size=12):
        assert outcome(data[:length])


@pytest.mark.slow
@pytest.mark.parametrize("case", DECODERS)
@pytest.mark.filterwarnings("ignore:::PIL")
def test_flipped_bytes_give_an_image_or_a_reason(
    photo: Image.Image, encode: Encode, case: str
) -> None:
    file_format, _, options, _ = CASES[case]
    data = encode(photo, file_format, **options)
    generator = np.random.default_rng(0)
    for number in range(300):
        broken = bytearray(data)
        end = len(data) if number % 2 else min(len(data), 200)  # headers are hit often
        for index in generator.integers(end, size=5):
            broken[index] ^= int(generator.integers(1, 256))
        assert outcome(bytes(broken))


def test_the_first_page_of_a_tiff_is_read(photo: Image.Image) -> None:
    black, file = Image.new("RGB", photo.size), io.BytesIO()
    photo.save(file, "TIFF", save_all=True, append_images=[black, black])
    np.testing.assert_array_equal(decode_image(file.getvalue(), SIZE), photo)
