"""Splits as tf.data datasets of batches."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence, Sized
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from pipeline.data.augmentation import augmenter
from pipeline.data.sampling import balanced_draws
from pipeline.data.source_config import Sampling
from pipeline.data.splits import ArrayImages, Images, Split
from pipeline.tasks.label_encoding import LabelEncoding

_MAX_BYTES_TWICE = 2**29  # of images in memory that a copy may be made of
_MAX_BYTES_KEPT = 2**26  # of images, whose batches may have targets four times as large


def steps_per_epoch(images: Sized, batch_size: int | Literal["all"]) -> int:
    """Return the number of batches in an epoch, of which the last may be smaller."""
    return math.ceil(len(images) / (len(images) if batch_size == "all" else batch_size))


def training_batches(
    split: Split,
    *,
    encoding: LabelEncoding,
    batch_size: int | Literal["all"],
    augmentation: Sequence[Any],
    seed: int,
    epochs: int,
    first_epoch: int = 0,
    sampling: Sampling = "natural",
    class_weights: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Return the batches of several epochs, one epoch after another, shuffled and augmented.

    The order of the images and their augmentation are functions of the seed and the epoch, so that
    any epoch can be reproduced. An epoch has every image exactly once or, if sampling is balanced,
    as many images with each class equally often, in `steps_per_epoch` batches.

    Args:
        split: the images.
        encoding: of their labels.
        batch_size: images per batch; `all` for batch gradient descent.
        augmentation: Keras preprocessing layers.
        seed: of the order and the augmentation.
        epochs: the epoch to end before.
        first_epoch: the epoch to start with, counted from 0.
        sampling: how often the images of each class are drawn.
        class_weights: the weight of each class in the loss, float32 (classes,).

    Returns:
        Batches of images (n, height, width, channels) in 0..255, uint8 or, if augmented, float32,
        or of numbers, float32 (n, numbers); and of targets, float32 (n, units). With class weights,
        also of the weights of the examples (n,).
    """
    indices = shuffled(
        split.strata,
        batch_size=batch_size,
        seed=seed,
        first_epoch=first_epoch,
        epochs=epochs,
        sampling=sampling,
    )
    batches = batches_at(indices.map(lambda _, batch: batch), split.images, split.labels)
    if augmentation:
        augment = augmenter(augmentation, seed=seed)
        steps = steps_per_epoch(split, batch_size)
        draws = tf.data.Dataset.range(first_epoch * steps, epochs * steps)
        numbered = tf.data.Dataset.zip(batches, draws)
        batches = numbered.map(
            lambda batch, draw: augment(batch[0], encoding.dense(batch[1]), draw)
        )
    return prefetched(batches.map(targets_for(encoding, class_weights)))


def can_be_kept(split: Split) -> bool:
    """Return whether the images are in memory, and so few that their batches can be kept there."""
    images = split.images
    return isinstance(images, ArrayImages) and images.array.nbytes <= _MAX_BYTES_KEPT


def in_graph_reader(
    split: Split,
    *,
    encoding: LabelEncoding,
    augmentation: Sequence[Any],
    seed: int,
    class_weights: np.ndarray | None,
) -> Callable[[Any, Any, Any], tuple[Any, ...]] | None:
    """Return what `GraphBatches.read` is: a function of draws and the number of a step to a batch.

    The batch is that of `training_batches`, which has the same arguments. None unless the images
    are in memory, and not too large to be there twice.
    """
    if not isinstance(split.images, ArrayImages) or split.images.array.nbytes > _MAX_BYTES_TWICE:
        return None
    with tf.device("CPU:0"):
        images, labels = tf.constant(split.images.array), tf.constant(split.labels)
    augment = augmenter(augmentation, seed=seed) if augmentation else None
    targets = targets_for(encoding, class_weights)

    def read(draws: Any, step: Any, tables: Any) -> tuple[Any, ...]:
        indices = draws[:, 1]
        batch = tf.gather(images, indices), tf.gather(labels, indices)
        if augment:
            batch = augment(batch[0], encoding.dense(batch[1]), step)
        return targets(*batch)

    return read


def step_chunks(
    strata: np.ndarray,
    *,
    batch_size: int,
    steps: int,
    seed: int,
    first_epoch: int,
    epochs: int,
    sampling: Sampling,
    tables: Any = (),
) -> tf.data.Dataset:
    """Return the draws of images of up to `steps` training steps at a time.

    Their order is that of `training_batches`, which has the same arguments.

    Args:
        tables: is a part of each element.

    Returns:
        How often each image was drawn before and its index, int64 (n, 2), the number of the first
        step, counted from that of epoch 0, and the tables.
    """
    draws = shuffled(
        strata,
        batch_size=batch_size * steps,
        seed=seed,
        first_epoch=first_epoch,
        epochs=epochs,
        sampling=sampling,
    )
    in_epoch = steps_per_epoch(strata, batch_size)
    chunks = steps_per_epoch(strata, batch_size * steps)

    @tf.autograph.experimental.do_not_convert  # it takes longer than to trace
    def element(chunk: Any, drawn: tuple[Any, Any]) -> tuple[Any, Any, Any]:
        first_step = chunk // chunks * in_epoch + chunk % chunks * steps
        return tf.stack(drawn, axis=1), first_step, tables

    # One function, because it takes a twentieth of a second to trace each.
    return prefetched(draws.enumerate(first_epoch * chunks).map(element))


def shuffled(
    labels: np.ndarray,
    *,
    batch_size: int | Literal["all"],
    seed: int,
    epochs: int,
    first_epoch: int = 0,
    sampling: Sampling = "natural",
) -> tf.data.Dataset:
    """Return the indices of several epochs in batches, each epoch in a different order.

    Args:
        labels: int (n,), the class of each image.
        batch_size: indices per batch; `all` for one batch per epoch.
        seed: of the order, together with the epoch.
        epochs: the epoch to end before.
        first_epoch: the epoch to start with, counted from 0.
        sampling: how often the images of each class are drawn.

    Returns:
        Batches of two int64 tensors (n,): how often each image was drawn before, which is the epoch
        unless sampling is balanced, and its index.
    """
    count = len(labels)
    size = count if batch_size == "all" else batch_size

    def draw(epoch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return balanced_draws(labels, seed=seed, epoch=int(epoch))

    @tf.autograph.experimental.do_not_convert  # as in `step_chunks`
    def of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(
            tf.range(count), seed=tf.stack([tf.cast(seed, tf.int32), tf.cast(epoch, tf.int32)])
        )
        if sampling == "natural":
            drawn = tf.fill([count], epoch), tf.cast(order, tf.int64)
        else:
            drawn = tf.numpy_function(draw, [epoch], [tf.int64, tf.int64], stateful=False)
            drawn = tuple(tf.gather(tf.ensure_shape(each, [count]), order) for each in drawn)
        return tf.data.Dataset.from_tensor_slices(drawn).batch(size)

    return tf.data.Dataset.range(first_epoch, epochs).flat_map(of_epoch)


def evaluation_batches(
    split: Split, *, encoding: LabelEncoding, batch_size: int
) -> tf.data.Dataset:
    """Return the batches of one pass over `split`, in its order, as `training_batches` does."""
    indices = tf.data.Dataset.range(len(split)).batch(batch_size)
    batches = batches_at(indices, split.images, split.labels)
    return prefetched(batches.map(targets_for(encoding)))


def kept_batches(
    split: Split, *, encoding: LabelEncoding, batch_size: int
) -> list[tuple[Any, ...]]:
    """Return the batches of `evaluation_batches`, of images that `can_be_kept`, in a list."""
    targets = targets_for(encoding)
    starts = range(batch_size, len(split), batch_size)
    return [
        targets(tf.constant(split.images.read(rows)), tf.constant(split.labels[rows]))
        for rows in np.split(np.arange(len(split)), starts)
    ]


def targets_for(
    encoding: LabelEncoding, class_weights: np.ndarray | None = None
) -> Callable[[Any, Any], tuple[Any, ...]]:
    """Return the function (images, labels) → (images, targets) of an output layer.

    The labels are those of a split or, after augmentation, dense ones. With weights of the classes
    in the loss, float32 (classes,), the function returns the weights of the images too. That of a
    label that augmentation mixed is the mix of the weights.
    """

    def targets(images: Any, labels: Any) -> tuple[Any, ...]:
        dense = encoding.dense(labels)
        of_output = encoding.targets(images, dense)
        if class_weights is None:
            return images, of_output
        return images, of_output, tf.linalg.matvec(dense, class_weights)

    return targets


def batches_at(indices: tf.data.Dataset, images: Images, labels: np.ndarray) -> tf.data.Dataset:
    """Map batches of indices to batches of images and their labels, decoding in parallel."""
    of_all = tf.constant(labels)

    def read(batch: np.ndarray) -> np.ndarray:
        return images.read(batch)

    def load(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        inputs = tf.numpy_function(read, [batch], images.dtype, stateful=False)
        inputs.set_shape((None, *images.shape))
        return inputs, tf.gather(of_all, batch)

    return indices.map(load, num_parallel_calls=os.cpu_count(), deterministic=True)


def prefetched(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Return batches of which two are prepared while one is used."""
    options = tf.data.Options()
    options.autotune.enabled = False  # it has nothing to tune, and delays the end by seconds
    return batches.prefetch(2).with_options(options)
