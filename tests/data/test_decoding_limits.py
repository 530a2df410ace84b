"""Limits of what decoding one image may take."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import pytest
from PIL import Image, PngImagePlugin

from pipeline.data.image_decoding import BadImageError, Decoding, decode_image

Encode = Callable[..., bytes]

RGB, GRAY, PALETTE, RGBA = 2, 0, 3, 6  # colour types of a PNG


def reason(data: bytes) -> str:
    with pytest.raises(BadImageError) as caught:
        decode_image(data, Decoding((32, 32), "crop"))
    return str(caught.value)


def png_that_declares(width: int, height: int, *, colours: int = RGB, bits: int = 8) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    body = zlib.compress(bytes(100))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            png_that_declares(30_000, 30_000, colours=GRAY),
            "it declares 30,000 × 30,000 pixels; 134,217,728 are allowed in all",
        ),
        (
            png_that_declares(11_000, 11_000, colours=RGBA),
            "decoding it would take 923 MiB of memory; 512 MiB are allowed",
        ),
        (
            png_that_declares(11_500, 11_600, colours=GRAY, bits=16),
            "image file is truncated (0 bytes not processed)",
        ),
    ],
    ids=["too many pixels", "too much memory", "allowed"],
)
def test_a_png_is_judged_by_what_it_declares(data: bytes, expected: str) -> None:
    assert reason(data) == expected


@pytest.mark.parametrize(
    ("header", "size"),
    [
        (b"P6 40000 40000 255\n", "40,000 × 40,000"),
        (
            b"BM" + bytes(8) + struct.pack("<IIiiHHI", 54, 40, 40000, 40000, 1, 24, 0) + bytes(20),
            "",
        ),
        (b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b",", ""),
    ],
    ids=["PPM", "BMP", "GIF"],
)
def test_other_formats_are_judged_likewise(header: bytes, size: str) -> None:
    assert (size or "pixels") in reason(header + bytes(100))


def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size(encode: Encode) -> None:
    data = encode(Image.new("RGB", (16_000, 12_500), "orange"), "JPEG")  # 200 million pixels
    pixels = decode_image(data, Decoding((32, 32), "crop"))
    assert abs(pixels.astype(int) - (255, 165, 0)).max() <= 2


def test_a_jpeg_beyond_all_cameras_is_rejected(photo: Image.Image, encode: Encode) -> None:
    data = bytearray(encode(photo, "JPEG"))
    start = data.index(b"\xff\xc0") + 5
    data[start : start + 4] = struct.pack(">HH", 60_000, 60_000)
    assert reason(bytes(data)) == (
        "it declares 60,000 × 60,000 pixels; 268,435,456 are allowed in all"
    )


def test_a_progressive_jpeg_is_judged_by_its_coefficients(
    photo: Image.Image, encode: Encode
) -> None:
    data = bytearray(encode(photo, "JPEG", progressive=True))
    start = data.index(b"\xff\xc2") + 5
    data[start : start + 4] = struct.pack(">HH", 12_000, 12_000)
    assert reason(bytes(data)) == ("decoding it would take 824 MiB of memory; 512 MiB are allowed")


def test_a_progressive_jpeg_of_endless_scans_is_rejected(
    photo: Image.Image, encode: Encode
) -> None:
    data = encode(photo, "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    assert reason(data[:-2] + data[last:-2] * 500) == "it has more than 500 scans"


def test_a_tiff_with_tiles_larger_than_itself_is_rejected(
    photo: Image.Image, encode: Encode
) -> None:
    data = encode(photo, "TIFF", tiffinfo={65000: 2**20, 65001: 2**20})
    for private, number in ((65000, 322), (65001, 323)):
        entry = struct.pack("<HHI", private, 4, 1)
        assert entry in data
        data = data.replace(entry, struct.pack("<HHI", number, 4, 1))
    assert reason(data) == "its tiles are too large"


@pytest.mark.parametrize("kind", ["compressed", "international"])
def test_a_bomb_in_a_text_chunk_is_rejected(photo: Image.Image, encode: Encode, kind: str) -> None:
    text = PngImagePlugin.PngInfo()
    add = text.add_itxt if kind == "international" else text.add_text
    add("Comment", "a" * 2**21, zip=True)
    assert "too large" in reason(encode(photo, "PNG", pnginfo=text))


def test_all_chunks_of_text_together_are_limited(photo: Image.Image, encode: Encode) -> None:
    text = PngImagePlugin.PngInfo()
    for number in range(80):
        text.add_text(f"Comment {number}", "a" * 1_000_000, zip=True)
    assert reason(encode(photo, "PNG", pnginfo=text)) == (
        "Too much memory used in text chunks: 68000000>MAX_TEXT_MEMORY"
    )


def test_the_frames_behind_the_first_are_not_decoded(photo: Image.Image, encode: Encode) -> None:
    small = photo.resize((8, 8))
    data = encode(small, "GIF", save_all=True, append_images=[small.rotate(n) for n in range(300)])
    damaged = data[: len(data) // 2]
    assert decode_image(damaged, Decoding((8, 8), "crop")).shape == (8, 8, 3)
