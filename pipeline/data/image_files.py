"""Images in files, decoded each time they are read, or the first time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.data.file_root import FileRoot
from pipeline.data.image_decoding import BadImageError, Decoding, decode_image
from pipeline.errors import DataError, escape_unprintable


@dataclass(frozen=True)
class ImageFiles:
    """Image files, all of which could be decoded before.

    Attributes:
        root: what relative names start from.
        names: of the file of each image.
        decoding: how they become pixels.
        states: int64 (n, 2), of remote files when they were listed, so that none of them is asked
            for again; None if they are to be asked for.
    """

    root: FileRoot
    names: Sequence[str]
    decoding: Decoding
    states: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.decoding.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return the images at `indices` (n,) as uint8 (n, height, width, channels), 0..255.

        Raises:
            DataError: if a file can no longer be decoded, or cannot be downloaded.
        """
        images = np.empty((len(indices), *self.shape), np.uint8)
        numbers = indices.tolist()
        names = [self.names[number] for number in numbers]
        contents = self.root.read_several(
            names, None if self.states is None else self.states[numbers]
        )
        for image, name in zip(images, names, strict=True):
            try:
                image[:] = decode_image(next(contents), self.decoding)
            except BadImageError as error:
                path = escape_unprintable(str(self.root.join(name)))
                raise DataError(f"{path} was changed during the run: {error}.") from None
        return images

    def part(self, indices: np.ndarray) -> ImageFiles:
        names = [self.names[index] for index in indices.tolist()]
        states = None if self.states is None else self.states[indices]
        return replace(self, names=names, states=states)


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
