"""What is known of an image file without knowing what it is for: its size and its samples."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from pipeline.data import decoding_limits, sample_values
from pipeline.data.image_decoding import opened_image, orientation
from pipeline.data.image_formats import ImageFormat


@dataclass(frozen=True)
class ImageFacts:
    """Facts of an image file.

    Attributes:
        format: the name of its `ImageFormat`.
        mode: of its pixels, as Pillow names it.
        width: in pixels, upright.
        height: in pixels, upright.
        bits: of a sample; 8 also for what has fewer, and for colours, of which 8 bits are read.
        lowest: the lowest sample; None for 8 bits, or if the file itself states the range.
        highest: the highest sample; None likewise.
    """

    format: str
    mode: str
    width: int
    height: int
    bits: int
    lowest: float | None
    highest: float | None


def inspect_image(data: bytes) -> ImageFacts:
    """Return the facts of the contents of an image file.

    Only images with more than 8 bits a sample are decoded, so a damaged one may pass.

    Raises:
        BadImageError: if the bytes are no image, or would take too much memory.
    """
    with opened_image(data) as opened:
        return facts_of(*opened)


def facts_of(image: Image.Image, file_format: ImageFormat) -> ImageFacts:
    """Return the facts of what `opened_image` yields."""
    extremes = None
    if sample_values.is_wide(image) and not sample_values.has_stated_range(image):
        decoding_limits.check_pixels(image, file_format)
        extremes = sample_values.extreme_samples(image)
    width, height = image.size
    if orientation(image) >= 5:  # it lies on its side
        width, height = height, width
    return ImageFacts(
        format=file_format.name,
        mode=image.mode,
        width=width,
        height=height,
        bits=sample_values.sample_bits(image),
        lowest=extremes and extremes[0],
        highest=extremes and extremes[1],
    )
