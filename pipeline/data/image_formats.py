"""The image formats that are read, each recognized by its content, whatever the file's suffix.

Formats whose readers run another program (EPS), open other files, have no signature to know them
by, hold images of undeclared size (ICO) or decode in slow Python are left out on purpose.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PcxImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    SgiImagePlugin,
    TgaImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)


@dataclass(frozen=True)
class ImageFormat:
    """A format of image files.

    Attributes:
        name: as people call it.
        suffixes: of its files, in lower case.
        signature: matches the first bytes of its files.
        open: returns the image in a binary file, with its size, before any pixel is decoded.
        buffers: bytes for each pixel that the decoder takes beside the image it returns.
        trailer: the last bytes of its files, if the first ones are not unmistakable.
    """

    name: str
    suffixes: tuple[str, ...]
    signature: re.Pattern[bytes]
    open: Callable[[IO[bytes]], Image.Image]
    buffers: int = 0
    trailer: bytes = b""


def _open_heic(file: IO[bytes]) -> Image.Image:
    # From the extra `heic`; its plugin is not registered with Pillow, which other code may use.
    image: Image.Image = importlib.import_module("pillow_heif").HeifImageFile(file)
    return image


def _format(
    name: str,
    suffixes: str,
    signature: bytes,
    opener: Callable[[IO[bytes]], Image.Image],
    *,
    buffers: int = 0,
    trailer: bytes = b"",
) -> ImageFormat:
    pattern = re.compile(signature, re.DOTALL)
    return ImageFormat(name, tuple(suffixes.split()), pattern, opener, buffers, trailer)


# The brands of ISO base media files: the major brand, a version, the compatible brands.
_BRANDS = rb"....ftyp(?:....){0,16}?"

SIGNATURE_BYTES = 1024  # a PPM may begin with comments

FORMATS = (
    # Cameras' MPO files are JPEG files with more images behind the first one.
    _format("JPEG", ".jpg .jpeg .jpe .jfif .mpo", rb"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    _format("PNG", ".png .apng", rb"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
    _format("GIF", ".gif", rb"GIF8[79]a", GifImagePlugin.GifImageFile),
    _format("WebP", ".webp", rb"RIFF....WEBP", WebPImagePlugin.WebPImageFile, buffers=12),
    _format(
        "BMP", ".bmp", rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", BmpImagePlugin.BmpImageFile
    ),
    _format(
        "TIFF",
        ".tif .tiff",
        rb"II\x2a\0|MM\0\x2a|II\x2b\0|MM\0\x2b",
        TiffImagePlugin.TiffImageFile,
    ),
    _format("AVIF", ".avif", _BRANDS + rb"avi[fs]", AvifImagePlugin.AvifImageFile, buffers=8),
    _format("HEIC", ".heic .heif", _BRANDS + rb"(?:hei[cxms]|hev[cxms])", _open_heic, buffers=8),
    _format(
        "JPEG 2000",
        ".jp2 .j2k .j2c .jpx",
        rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n",
        Jpeg2KImagePlugin.Jpeg2KImageFile,
        buffers=20,
    ),
    _format(
        "PPM",
        ".ppm .pgm .pbm .pnm .pfm",
        rb"P[1-6f](?:\s|#[^\n]*\n)+\d+\s+\d+\s",
        PpmImagePlugin.PpmImageFile,
    ),
    _format(
        "TGA",
        ".tga",
        rb".[\0\x01][\x01\x02\x03\x09\x0a\x0b]",
        TgaImagePlugin.TgaImageFile,
        trailer=b"TRUEVISION-XFILE.\0",
    ),
    _format(
        "PCX", ".pcx", rb"\n[\0\x02\x03\x05]\x01[\x01\x02\x04\x08]", PcxImagePlugin.PcxImageFile
    ),
    _format(
        "SGI",
        ".sgi .rgb .rgba .bw",
        rb"\x01\xda[\0\x01][\x01\x02]\0[\x01\x02\x03]",
        SgiImagePlugin.SgiImageFile,
        buffers=4,
    ),
)

SUFFIXES = frozenset(suffix for image_format in FORMATS for suffix in image_format.suffixes)


def image_format(data: bytes) -> ImageFormat | None:
    """Return the format of the contents of a file, None if they are not an image.

    A damaged image still has a format, unless its first bytes are damaged.
    """
    head = data[:SIGNATURE_BYTES]
    for candidate in FORMATS:
        if candidate.signature.match(head) and data.endswith(candidate.trailer):
            return candidate
    return None
