"""Splits as tf.data datasets of batches."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pipeline.data.augmentation import augmenter
from pipeline.data.splits import Images, Split

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

Output = Literal["softmax", "sigmoid"]


def steps_per_epoch(split: Split, batch_size: int | Literal["all"]) -> int:
    """Return the number of batches that `split` is cut into; the last one may be smaller."""
    return math.ceil(len(split) / (len(split) if batch_size == "all" else batch_size))


def training_batches(
    split: Split,
    *,
    classes: int,
    output: Output,
    batch_size: int | Literal["all"],
    augmentation: Sequence[Any],
    seed: int,
    epochs: int,
    first_epoch: int = 0,
) -> tf.data.Dataset:
    """Return the batches of several epochs on end, shuffled and augmented.

    The order of the images and their augmentation are functions of the seed and the number of the
    epoch, so that any epoch can be repeated. An epoch sees every image exactly once and has
    `steps_per_epoch` batches.

    Args:
        split: the images.
        classes: the number of classes.
        output: what the model ends in.
        batch_size: images in a batch; `all` for batch gradient descent.
        augmentation: Keras preprocessing layers.
        seed: the stream of random numbers.
        epochs: the number of the epoch to end before.
        first_epoch: the number of the epoch to start with.

    Returns:
        Batches of images (n, height, width, channels) in 0..255, uint8 or, augmented, float32, and
        labels as `output` needs them: float32, one-hot (n, classes) for softmax; for sigmoid
        (n, 1), the share of the second class.
    """
    import tensorflow as tf

    count = len(split)
    size = count if batch_size == "all" else batch_size
    steps = math.ceil(count / size)

    def epoch_indices(epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(
            tf.range(count), seed=tf.stack([tf.cast(seed, tf.int32), tf.cast(epoch, tf.int32)])
        )
        return tf.data.Dataset.from_tensor_slices(order).batch(size)

    indices = tf.data.Dataset.range(first_epoch, epochs).flat_map(epoch_indices)
    batches = _read(indices, split, classes)
    if augmentation:
        augment = augmenter(augmentation, seed=seed)
        draws = tf.data.Dataset.range(first_epoch * steps, epochs * steps)
        numbered = tf.data.Dataset.zip(batches, draws)
        batches = numbered.map(lambda batch, draw: augment(batch[0], batch[1], draw))
    return _targets(batches, output).prefetch(2)


def evaluation_batches(
    split: Split, *, classes: int, output: Output, batch_size: int
) -> tf.data.Dataset:
    """Return the batches of one pass over `split` in its own order, as `training_batches` does."""
    import tensorflow as tf

    indices = tf.data.Dataset.range(len(split)).batch(batch_size)
    return _targets(_read(indices, split, classes), output).prefetch(2)


def _targets(batches: tf.data.Dataset, output: Output) -> tf.data.Dataset:
    if output == "softmax":
        return batches
    return batches.map(lambda images, labels: (images, labels[:, 1:]))


def _read(indices: tf.data.Dataset, split: Split, classes: int) -> tf.data.Dataset:
    """Map batches of indices to batches of images and one-hot labels, decoding in parallel."""
    import tensorflow as tf

    images: Images = split.images
    labels = tf.constant(split.labels)

    def read(numbers: np.ndarray) -> np.ndarray:
        return images.read(numbers)

    def batch(numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = tf.numpy_function(read, [numbers], tf.uint8, stateful=False)
        pixels.set_shape((None, *images.shape))
        return pixels, tf.one_hot(tf.gather(labels, numbers), classes)

    return indices.map(batch, num_parallel_calls=os.cpu_count(), deterministic=True)
