"""Limits of what decoding one image may take, checked before a pixel is decoded.

A file of a few hundred kilobytes can declare pixels that take gigabytes. What an image will take
is estimated from its declared size, its mode, and the buffers of its decoder.
"""

from __future__ import annotations

from PIL import Image

from pipeline.data import sample_values
from pipeline.data.image_formats import ImageFormat

# Large enough for scans of films and sheets of maps; in RGB it takes the memory that is allowed.
MAX_PIXELS = 2**27
MAX_MEMORY = 2**29
# JPEG files are decoded at a fraction of their size; the largest cameras have 200 million pixels.
MAX_JPEG_PIXELS = 2**28
# libjpeg-turbo's advice; each scan of a progressive file visits every block of the image.
MAX_JPEG_SCANS = 500

_ONE_BYTE_MODES = frozenset({"1", "L", "P"})
_MAX_TIFF_TILE = 2**26

_SUBFILE_TYPE, _DNG_VERSION, _TILE_WIDTH, _TILE_LENGTH = 254, 50706, 322, 323


def check_file(image: Image.Image, data: bytes) -> None:
    """Check an open image at its full size.

    Raises:
        ValueError: if it declares too many pixels, or its file is not what it seems.
    """
    width, height = image.size
    limit = MAX_JPEG_PIXELS if image.format == "JPEG" else MAX_PIXELS
    if width * height > limit:
        raise ValueError(f"it declares {width:,} × {height:,} pixels; {limit:,} are allowed in all")
    if image.format == "JPEG" and image.info.get("progressive"):
        # The coefficients of the whole image are in memory, 2 bytes each, whatever the fraction.
        _check_memory(width * height * 2 * len(image.getbands()))
        if data.count(b"\xff\xda") > MAX_JPEG_SCANS:
            raise ValueError(f"it has more than {MAX_JPEG_SCANS} scans")
    if image.format == "TIFF":
        _check_tags(image.tag_v2)  # type: ignore[attr-defined]


def check_pixels(image: Image.Image, file_format: ImageFormat) -> None:
    """Check the memory that an open image's pixels will take, at the fraction that is decoded.

    Raises:
        ValueError: if it is more than `MAX_MEMORY`.
    """
    _check_memory(image.width * image.height * _bytes_per_pixel(image, file_format))


def _bytes_per_pixel(image: Image.Image, file_format: ImageFormat) -> int:
    stored = 1 if image.mode in _ONE_BYTE_MODES else 2 if image.mode.startswith("I;16") else 4
    if sample_values.is_wide(image):
        copied = 1
    elif image.has_transparency_data:
        copied = 4 if image.mode in ("LA", "RGBA") else 8  # converted, and premultiplied
    else:
        copied = 0 if image.mode in ("L", "RGB") else 1 if image.mode == "1" else 4
    turned = stored if "exif" in image.info else 0  # it may say that the image lies on its side
    return stored + max(copied, turned) + file_format.buffers


def _check_memory(needed: int) -> None:
    if needed > MAX_MEMORY:
        raise ValueError(
            f"decoding it would take {needed / 2**20:,.0f} MiB of memory; {MAX_MEMORY / 2**20:.0f} "
            "MiB are allowed"
        )


def _check_tags(tags: dict[int, int]) -> None:
    if _DNG_VERSION in tags or tags.get(_SUBFILE_TYPE, 0) & 1:
        raise ValueError(
            "its first page is a preview, as in a camera's raw file; convert it to JPEG or TIFF"
        )
    if tags.get(_TILE_WIDTH, 1) * tags.get(_TILE_LENGTH, 1) > _MAX_TIFF_TILE:
        raise ValueError("its tiles are too large")
