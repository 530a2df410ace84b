"""Decode image files to pixels of one size, the same way for training and prediction."""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

Resize = Literal["crop", "pad", "squash"]

SUFFIXES = frozenset({".bmp", ".gif", ".jpe", ".jpeg", ".jpg", ".png", ".webp"})

MAX_BYTES = 2**29  # above the uncompressed size of the largest image that Pillow accepts

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "WEBP")  # JPEG opens MPO too, as some cameras write it
_WIDE_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")


class BadImageError(Exception):
    """An image cannot be decoded; the message is the reason."""


@dataclass(frozen=True)
class Decoding:
    """How image files become pixels, in training and in prediction.

    Attributes:
        size: height and width in pixels.
        resize: `crop` fills the size and crops the rest, `pad` fits the whole image in and adds
            black borders, `squash` ignores the aspect ratio.
        channels: 3 for RGB, 1 for grayscale.
        value_range: the lowest and the highest sample of images with more than 8 bits, which become
            0 and 255; None for the range of their type.
    """

    size: tuple[int, int]
    resize: Resize
    channels: int = 3
    value_range: tuple[float, float] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the pixels."""
        return (*self.size, self.channels)


def decode_image(data: bytes, decoding: Decoding) -> np.ndarray:
    """Decode one image and resize it.

    The EXIF orientation is applied, the first frame of an animation is used, transparent images get
    a white background, and grayscale, palette, 16-bit and CMYK images become RGB.

    Args:
        data: the contents of a JPEG, PNG, BMP, GIF or WebP file, whatever its suffix.
        decoding: how they become pixels.

    Returns:
        uint8 (height, width, channels).

    Raises:
        BadImageError: if the bytes cannot be decoded, or declare more pixels than Pillow accepts.
    """
    if not data:
        raise BadImageError("the file is empty")
    target = 2 * max(decoding.size)  # twice the size keeps a JPEG sharp
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            image.draft(image.mode, (target, target))  # decodes a JPEG at a fraction of its size
            image.load()
            upright = _upright_rgb(image)
            if decoding.channels == 1:
                upright = upright.convert("L")
            pixels = np.asarray(_resized(upright, decoding))
            return pixels[..., np.newaxis] if decoding.channels == 1 else pixels
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise many types for a corrupt file
        raise BadImageError(_reason(error)) from None


def read_image_file(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a file.

    Raises:
        BadImageError: if it cannot be read, is not a regular file (a pipe may never end), or is
            larger than `MAX_BYTES`.
    """
    try:
        # Called for each image, and Path.open is slower.
        with open(path, "rb", opener=_open_nonblocking) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BadImageError("not a regular file")
            if status.st_size > MAX_BYTES:
                raise BadImageError(f"larger than {MAX_BYTES:,} bytes")
            return file.read()
    except OSError as error:
        raise BadImageError(error.strerror or str(error)) from None


def _open_nonblocking(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe would wait for a writer


def resize_images(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize grayscale images, uint8 (n, height, width, 1), to `size`, bilinearly."""
    if images.shape[1:3] == tuple(size):
        return images
    resized = np.empty((len(images), *size, 1), np.uint8)
    for image, target in zip(images, resized, strict=True):
        pixels = Image.fromarray(image[..., 0]).resize(size[::-1], Image.Resampling.BILINEAR)
        target[..., 0] = np.asarray(pixels)
    return resized


def _upright_rgb(image: Image.Image) -> Image.Image:
    with contextlib.suppress(Exception):  # a corrupt EXIF block does not affect the pixels
        image = ImageOps.exif_transpose(image)
    if image.mode in _WIDE_MODES:
        pixels = np.asarray(image).astype(np.int64)
        return Image.fromarray((pixels.clip(0, 65535) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image).convert("RGB")
    return image.convert("RGB")


def _resized(image: Image.Image, decoding: Decoding) -> Image.Image:
    resizers: dict[Resize, Callable[[Image.Image, int, int], Image.Image]] = {
        "crop": _crop,
        "pad": _pad,
        "squash": _squash,
    }
    return resizers[decoding.resize](image, *decoding.size)


def _crop(image: Image.Image, height: int, width: int) -> Image.Image:
    scale = max(height / image.height, width / image.width)
    w, h = width / scale, height / scale
    left, top = (image.width - w) / 2, (image.height - h) / 2
    box = (max(left, 0), max(top, 0), min(left + w, image.width), min(top + h, image.height))
    return image.resize((width, height), Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)


def _pad(image: Image.Image, height: int, width: int) -> Image.Image:
    scale = min(height / image.height, width / image.width)
    w, h = max(round(image.width * scale), 1), max(round(image.height * scale), 1)
    canvas = Image.new(image.mode, (width, height))
    fitted = image.resize((w, h), Image.Resampling.BILINEAR, reducing_gap=2.0)
    canvas.paste(fitted, ((width - w) // 2, (height - h) // 2))
    return canvas


def _squash(image: Image.Image, height: int, width: int) -> Image.Image:
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "not a JPEG, PNG, BMP, GIF or WebP image"
    if isinstance(error, Image.DecompressionBombError):
        return "it declares too many pixels"
    return str(error) or type(error).__name__
