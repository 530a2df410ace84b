"""Images in files, decoded each time they are read, or the first time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.image_decoding import BadImageError, Decoding, decode_image, read_image_file
from pipeline.errors import DataError, escape_unprintable


@dataclass(frozen=True)
class ImageFiles:
    """Image files, all of which could be decoded before.

    Attributes:
        root: the directory that relative names start from.
        names: of the file of each image.
        decoding: how they become pixels.
    """

    root: Path
    names: Sequence[str]
    decoding: Decoding

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.decoding.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return the images at `indices` (n,) as uint8 (n, height, width, channels), 0..255.

        Raises:
            DataError: if a file can no longer be decoded.
        """
        images = np.empty((len(indices), *self.shape), np.uint8)
        for image, index in zip(images, indices, strict=True):
            path = self.root / self.names[int(index)]
            try:
                image[:] = decode_image(read_image_file(path), self.decoding)
            except BadImageError as error:
                raise DataError(
                    f"{escape_unprintable(str(path))} was changed during the run: {error}."
                ) from None
        return images

    def part(self, indices: np.ndarray) -> ImageFiles:
        return replace(self, names=[self.names[index] for index in indices.tolist()])


class PixelMemory:
    """The pixels of those of n images that were decoded.

    Memory is taken for each image when its pixels are kept.
    """

    def __init__(self, count: int, shape: tuple[int, int, int]) -> None:
        self._pixels = np.empty((count, *shape), np.uint8)
        self._is_kept = np.zeros(count, bool)

    def keep(self, numbers: int | np.ndarray, pixels: np.ndarray) -> None:
        self._pixels[numbers] = pixels
        self._is_kept[numbers] = True  # after its pixels: another thread may read them at once

    def is_kept(self, numbers: np.ndarray) -> np.ndarray:
        return self._is_kept[numbers]

    def read(self, numbers: np.ndarray) -> np.ndarray:
        return self._pixels[numbers]


@dataclass(frozen=True)
class MemoizedImages:
    """Images that are decoded when they are first read, and kept in memory.

    Attributes:
        files: the images.
        memory: keeps the pixels of these and other images.
        numbers: int (n,), the number of each image in it.
    """

    files: ImageFiles
    memory: PixelMemory
    numbers: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.files.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.files.dtype

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return the images at `indices`, as `ImageFiles` does, with the same errors."""
        numbers = self.numbers[indices]
        is_missing = ~self.memory.is_kept(numbers)
        if is_missing.any():
            self.memory.keep(numbers[is_missing], self.files.read(indices[is_missing]))
        return self.memory.read(numbers)

    def part(self, indices: np.ndarray) -> ImageFiles:
        return self.files.part(indices)
