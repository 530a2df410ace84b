"""Decode image files to pixels of one size, the same way for training and prediction."""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import ExifTags, Image

from pipeline.data import decoding_limits, sample_values
from pipeline.data.image_formats import SIGNATURE_BYTES, ImageFormat, image_format
from pipeline.errors import BadInputError

Resize = Literal["crop", "pad", "squash"]

MAX_BYTES = 2**29  # of a file


class BadImageError(BadInputError):
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

    The EXIF orientation is applied, the first page or frame is used, transparent images get a white
    background, colour profiles are ignored, and images of any mode become RGB or grayscale.

    Args:
        data: the contents of a file in one of the `image_formats`, whatever its suffix.
        decoding: how they become pixels.

    Returns:
        uint8 (height, width, channels).

    Raises:
        BadImageError: if the bytes cannot be decoded, or would take too much memory.
    """
    with opened_image(data) as opened:
        (pixels,) = decode_opened(*opened, [decoding])
    return pixels


def decode_opened(
    image: Image.Image, file_format: ImageFormat, decodings: Sequence[Decoding]
) -> list[np.ndarray]:
    """Decode an opened image once and resize it in several ways.

    Args:
        image: what `opened_image` yields, of which no pixel is decoded yet.
        file_format: its format.
        decodings: how it becomes pixels. A JPEG is decoded at the fraction of its size that the
            first one needs.

    Returns:
        uint8 (height, width, channels) for each decoding.
    """
    _draft(image, decodings[0])
    decoding_limits.check_pixels(image, file_format)
    results = []
    for decoding in decodings:
        pixels = np.asarray(_resized(_upright(image, decoding.value_range), decoding))
        results.append(pixels[..., np.newaxis] if decoding.channels == 1 else pixels)
    return results


def declared_pixels(data: bytes) -> int:
    """Return the number of pixels that an image declares, of which none is decoded.

    Raises:
        BadImageError: if the bytes are no image or declare too many pixels.
    """
    with opened_image(data) as (image, _):
        return image.width * image.height


@contextlib.contextmanager
def opened_image(data: bytes) -> Iterator[tuple[Image.Image, ImageFormat]]:
    """Open an image, of which no pixel is decoded until it is used.

    Raises:
        BadImageError: if the bytes are no image or declare too many pixels, or for whatever
            exception Pillow raises in the body of the `with` statement.
    """
    if not data:
        raise BadImageError("the file is empty")
    file_format = image_format(data)
    if file_format is None:
        raise BadImageError("not an image, or of a format that is not supported")
    try:
        with file_format.open(io.BytesIO(data)) as image:
            decoding_limits.check_file(image, data)
            yield image, file_format
    except (MemoryError, BadImageError):
        raise
    except Exception as error:  # Pillow's decoders raise many types for a corrupt file
        raise BadImageError(_reason(error, file_format)) from None


def _draft(image: Image.Image, decoding: Decoding) -> None:
    """Have a JPEG decoded at 1/2, 1/4 or 1/8 of its size, or only its luminance."""
    if image.format != "JPEG":
        return
    target = 2 * max(decoding.size)  # twice the size keeps it sharp
    image.draft("L" if decoding.channels == 1 else image.mode, (target, target))


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


def has_image_content(path: str | os.PathLike[str]) -> bool:
    """Return whether a file begins as an image does; False for one that cannot be read."""
    try:
        with open(path, "rb", opener=_open_nonblocking) as file:
            is_regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            return is_regular and is_image_start(file.read(SIGNATURE_BYTES))
    except OSError:
        return False


def is_image_start(data: bytes) -> bool:
    """Return whether the first `SIGNATURE_BYTES` of a file are those of an image."""
    return image_format(data) is not None


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


def _upright(image: Image.Image, value_range: tuple[float, float] | None) -> Image.Image:
    """Return an image as `L`, `LA`, `RGB` or `RGBA`, the way up that its EXIF data says."""
    image.load()
    turn = _TURNS.get(orientation(image))
    if sample_values.is_wide(image):
        image = sample_values.scale_to_8_bits(image, value_range)
    elif image.has_transparency_data:
        image = image if image.mode in ("LA", "RGBA") else image.convert("RGBA")
    elif image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    return image if turn is None else image.transpose(turn)


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of an image, 1 to 8, that is still to be applied."""
    with contextlib.suppress(Exception):  # a corrupt EXIF block does not affect the pixels
        stored = image.getexif().get(ExifTags.Base.Orientation, 1)
        return stored if stored in _TURNS else 1
    return 1


def _resized(image: Image.Image, decoding: Decoding) -> Image.Image:
    resizers: dict[Resize, Callable[[Image.Image, int, int], Image.Image]] = {
        "crop": _crop,
        "pad": _pad,
        "squash": _squash,
    }
    image = resizers[decoding.resize](image, *decoding.size)
    return image.convert("L" if decoding.channels == 1 else "RGB")


def _crop(image: Image.Image, height: int, width: int) -> Image.Image:
    scale = max(height / image.height, width / image.width)
    w, h = width / scale, height / scale
    left, top = (image.width - w) / 2, (image.height - h) / 2
    box = (max(left, 0), max(top, 0), min(left + w, image.width), min(top + h, image.height))
    return _interpolated(image, (width, height), box)


def _pad(image: Image.Image, height: int, width: int) -> Image.Image:
    scale = min(height / image.height, width / image.width)
    w, h = max(round(image.width * scale), 1), max(round(image.height * scale), 1)
    fitted = _interpolated(image, (w, h))
    canvas = Image.new(fitted.mode, (width, height))
    canvas.paste(fitted, ((width - w) // 2, (height - h) // 2))
    return canvas


def _squash(image: Image.Image, height: int, width: int) -> Image.Image:
    return _interpolated(image, (width, height))


def _interpolated(
    image: Image.Image,
    size: tuple[int, int],
    box: tuple[float, float, float, float] | None = None,
) -> Image.Image:
    """Resize an image, bilinearly, and lay it on white if it is transparent."""
    image = image.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
    if image.mode not in ("LA", "RGBA"):
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _reason(error: Exception, file_format: ImageFormat) -> str:
    if isinstance(error, ModuleNotFoundError):
        extra = file_format.name.lower()
        return (
            f"{file_format.name} images require the package {error.name}. Install it: pip install "
            f"-c constraints.txt -e '.[{extra}]'"
        )
    if isinstance(error, SyntaxError):  # what Pillow raises for a header that it cannot read
        return f"its {file_format.name} header cannot be read: {error}"
    return str(error) or type(error).__name__
