"""What reading one file tells: whether it is an image that can be decoded, and what it shows."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from pipeline.data import decoding_limits
from pipeline.data.duplicates import SIDE
from pipeline.data.image_decoding import (
    BadImageError,
    Decoding,
    decode_image,
    decode_opened,
    opened_image,
    read_image_file,
)
from pipeline.data.image_facts import ImageFacts, facts_of
from pipeline.data.image_formats import SUFFIXES, image_format
from pipeline.data.remote_path import suffix_of

_THUMBNAIL = Decoding((SIDE, SIDE), "squash")


class Verdict(IntEnum):
    """What a file is; `NO_IMAGE` is an image neither by its content nor by its suffix."""

    UNKNOWN = 0
    IMAGE = 1
    UNREADABLE = 2
    NO_IMAGE = 3


@dataclass(frozen=True)
class ExaminedFile:
    """What reading one file tells.

    Attributes:
        verdict: what it is.
        reason: why it is unreadable, or no image.
        is_lasting: whether this stays true until the file is modified; that it cannot be opened
            does not.
        digest: SHA-256 of the file, 32 bytes; empty if it was not read.
        facts: of an image.
        thumbnail: uint8 (16, 16, 3) of an image; samples of more than 8 bits are scaled by their
            own extremes.
        pixels: uint8 (height, width, channels) of an image of 8 bits, if a decoding was given.
    """

    verdict: Verdict
    reason: str = ""
    is_lasting: bool = True
    digest: bytes = b""
    facts: ImageFacts | None = None
    thumbnail: np.ndarray | None = None
    pixels: np.ndarray | None = None


def examine_file(
    path: str, decoding: Decoding | None, read: Callable[[str], bytes] = read_image_file
) -> ExaminedFile:
    """Read a file, whatever it is.

    Args:
        path: of the file.
        decoding: how it becomes pixels; None to decode no more than shows whether it can be.
        read: returns the content of a file or raises BadImageError.
    """
    suffix = suffix_of(path)
    try:
        data = read(path)
    except (BadImageError, ValueError) as error:  # ValueError: a name that no file can have
        is_other = bool(suffix) and suffix not in SUFFIXES
        verdict = Verdict.NO_IMAGE if is_other else Verdict.UNREADABLE
        return ExaminedFile(verdict, str(error), is_lasting=False)
    digest = hashlib.sha256(data).digest()
    try:
        return _examine_image(data, digest, decoding)
    except BadImageError as error:
        is_other = suffix not in SUFFIXES and image_format(data) is None
        verdict = Verdict.NO_IMAGE if is_other else Verdict.UNREADABLE
        return ExaminedFile(verdict, str(error), digest=digest)


def _examine_image(data: bytes, digest: bytes, decoding: Decoding | None) -> ExaminedFile:
    """Decode an image once, or twice for pixels in grayscale.

    Raises:
        BadImageError: if it cannot be decoded.
    """
    with opened_image(data) as (image, file_format):
        facts = facts_of(image, file_format)
        small, pixels = _THUMBNAIL, None
        if facts.lowest is not None and facts.highest is not None:
            small = dataclasses.replace(_THUMBNAIL, value_range=(facts.lowest, facts.highest))
        if facts.bits > 8 or decoding is None or decoding.channels != small.channels:
            (thumbnail,) = decode_opened(image, file_format, [small])
        else:
            pixels, thumbnail = decode_opened(image, file_format, [decoding, small])
    if decoding and facts.bits <= 8 and pixels is None:
        pixels = decode_image(data, decoding)
    return ExaminedFile(
        Verdict.IMAGE, digest=digest, facts=facts, thumbnail=thumbnail, pixels=pixels
    )


def pixel_digest(data: bytes) -> bytes:
    """Return the SHA-256 of the pixels of an image file at their full size, upright.

    Raises:
        BadImageError: if it cannot be decoded.
    """
    with opened_image(data) as (image, file_format):
        facts = facts_of(image, file_format)
        if facts.bits > 8:
            decoding_limits.check_pixels(image, file_format)
            pixels = np.asarray(image)
        else:
            in_full = Decoding((facts.height, facts.width), "squash")
            (pixels,) = decode_opened(image, file_format, [in_full])
    return hashlib.sha256(f"{pixels.shape} {pixels.dtype}".encode() + pixels.tobytes()).digest()
