"""Test-time augmentation: the outputs for an image are the mean over several views of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.data.augmentation import augmenter
from pipeline.inference.image_classifier import BATCH_SIZE, BatchOutputs, ImageClassifier
from pipeline.inference.model_interface import ModelInterface


@dataclass(frozen=True)
class AveragedViews:
    """A model whose outputs are means over views of each image: the image and random ones.

    The random views depend on the image and the seed alone, not on the other images. Distances to
    the training images are those of the image itself, because their threshold is for such.

    Attributes:
        classifier: the model.
        layers: of the augmentation, which change each image by itself.
        views: of each image, the image included; 2 or more.
        seed: of the views.
    """

    classifier: ImageClassifier
    layers: Sequence[Any]
    views: int
    seed: int

    @property
    def interface(self) -> ModelInterface:
        """That of the model."""
        return self.classifier.interface

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[BatchOutputs]:
        """Yield the mean outputs of each batch and the distances to the training images.

        Args:
            batches: as `ImageClassifier.run` takes them.
        """
        size = max(1, BATCH_SIZE // self.views)
        counts: deque[int] = deque()  # of parts of each batch
        views_of = self._view_function()

        def parts() -> Iterator[np.ndarray]:
            for pixels in batches:
                starts = range(0, len(pixels), size)
                counts.append(len(starts))
                for start in starts:
                    images = pixels[start : start + size].astype(np.float32)
                    yield np.concatenate([views_of(image) for image in images])

        outputs = self.classifier.run(parts())
        for first in outputs:
            rest = islice(outputs, counts.popleft() - 1)
            yield self._means([first, *rest])

    def _view_function(self) -> Any:
        """Return a function of an image, float32 (h, w, c), to its views (views, h, w, c)."""
        augment = augmenter(self.layers, seed=self.seed)
        shape = self.interface.input_shape

        @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)])
        def views_of(image: Any) -> Any:
            copies = tf.tile(image[tf.newaxis], [self.views - 1, 1, 1, 1])
            augmented, _ = augment(copies, tf.zeros((self.views - 1, 1)), tf.constant(0, tf.int64))
            return tf.concat([image[tf.newaxis], augmented], axis=0)

        return lambda image: views_of(tf.constant(image)).numpy()

    def _means(self, parts: Sequence[BatchOutputs]) -> BatchOutputs:
        outputs = np.concatenate([part.outputs for part in parts])
        by_image = outputs.reshape(-1, self.views, *outputs.shape[1:])
        if any(part.distances is None for part in parts):
            return BatchOutputs(by_image.mean(axis=1), None)
        distances = np.concatenate([part.distances for part in parts])
        return BatchOutputs(by_image.mean(axis=1), distances[:: self.views])
