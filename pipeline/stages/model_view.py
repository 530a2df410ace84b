"""What a model makes of images, for the figures of a report."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from pipeline.data.splits import Images


@dataclass(frozen=True)
class ModelView:
    """The images of a split, and what a model makes of them.

    Attributes:
        model: maps images to outputs.
        images: of the split.
    """

    model: keras.Model
    images: Images

    @property
    def are_images(self) -> bool:
        """Whether they are images, not other numbers."""
        return len(self.images.shape) == 3

    def units(self, indices: np.ndarray) -> np.ndarray:
        return np.asarray(self.model.predict(self.images.read(indices), verbose=0))

    def activations(self, layer: str, indices: np.ndarray) -> np.ndarray | None:
        found = [each for each in self.model.layers if each.name == layer]
        if not found:
            return None
        part = keras.Model(self.model.input, found[0].output)
        return np.asarray(part.predict(self.images.read(indices), verbose=0))
