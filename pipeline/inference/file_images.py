"""Images in files, decoded as a model takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.inference.model_interface import ModelInterface


@dataclass(frozen=True)
class FileImages:
    """Images in files, as a model takes them.

    Attributes:
        files: the files, all of which can be read.
        interface: says how.
    """

    files: Sequence[Path]
    interface: ModelInterface

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        return self.interface.image_shape

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return the images at `indices` (n,) as uint8 (n, height, width, channels), 0..255."""
        images = [self.interface.read(self.files[index]) for index in indices]
        return np.array(images, np.uint8).reshape(-1, *self.shape)
