"""Images that stay in their files and are decoded each time they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.image_decoding import BadImageError, Decoding, decode_image, read_image_file
from pipeline.errors import DataError, escape_unprintable


@dataclass(frozen=True)
class ImageFiles:
    """Image files, all of which could be decoded before.

    Attributes:
        paths: one file for each image.
        decoding: how they become pixels.
    """

    paths: Sequence[Path]
    decoding: Decoding

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.decoding.shape

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return the images at `indices` (n,) as uint8 (n, height, width, channels), 0..255.

        Raises:
            DataError: if a file can no longer be decoded.
        """
        images = np.empty((len(indices), *self.shape), np.uint8)
        for image, index in zip(images, indices, strict=True):
            path = self.paths[int(index)]
            try:
                image[:] = decode_image(read_image_file(path), self.decoding)
            except BadImageError as error:
                raise DataError(
                    f"{escape_unprintable(str(path))} was changed during the run: {error}."
                ) from None
        return images
