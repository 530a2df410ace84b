"""Flips of images, drawn by Keras's layers on pictures of four pixels.

What the layers draw depends on the number of images alone. So the flips of a batch take no time,
and a flip that was drawn for an image before need not be carried out again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.data.augmentation import augmenter

_PIXELS = np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1)  # each tells where it came from


def are_flips(layers: Sequence[Any]) -> bool:
    """Return whether there are layers, and all of them flip."""
    return bool(layers) and all(isinstance(layer, keras.layers.RandomFlip) for layer in layers)


def flip_drawer(layers: Sequence[Any], *, seed: int) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """Return a function (images, labels, step) → (labels, flips), within TensorFlow.

    The flips, int32 (n,), are those that `augmenter` with the same arguments carries out: 1 from
    left to right, 2 upside down, 3 both, 0 none.
    """
    augment = augmenter(layers, seed=seed)

    def draw(images: Any, labels: Any, step: Any) -> tuple[Any, Any]:
        flipped, labels = augment(tf.repeat(_PIXELS, tf.shape(images)[0], axis=0), labels, step)
        return labels, tf.cast(flipped[:, 0, 0, 0], tf.int32)

    return draw


def flipped(image: np.ndarray, flip: int) -> np.ndarray:
    """Return an image (height, width, channels) after a flip, float32 and in 0..255."""
    rows, columns = (slice(None, None, -1 if flip & bit else 1) for bit in (2, 1))
    return image[rows, columns].astype(np.float32).clip(0, 255)
