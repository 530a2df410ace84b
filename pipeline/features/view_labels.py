"""The labels of the views of images, as whole numbers with weights.

MixUp (Zhang et al., 2017) and CutMix (Yun et al., 2019) mix the labels of a few images. Only a
batch is made dense, so that the size of the rest does not depend on the number of classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

# The indices of images, the number of their view, and what `to_sparse` returned for their labels.
LabelBatch = tuple[np.ndarray, int, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class ViewLabels:
    """The label of each view of each image, which mixes up to `mixed` classes.

    Attributes:
        labels: int32 (images, views, mixed), the classes in each label; one view stands for all if
            they have the same labels.
        weights: float32 of the same shape, the weight of each class in the label; 0 for none.
        classes: the number of classes.
    """

    labels: np.ndarray
    weights: np.ndarray
    classes: int

    def tensors(self) -> tuple[Any, Any]:
        """Return the labels and their weights as tensors, for `dense_labels`."""
        with tf.device("CPU:0"):
            return tf.constant(self.labels), tf.constant(self.weights)


def dense_labels(tensors: tuple[Any, Any], classes: int, views: Any, indices: Any) -> Any:
    """Return the labels of views of images, float32 (n, classes), within TensorFlow.

    Args:
        tensors: what `ViewLabels.tensors` returned.
        classes: the number of classes.
        views: of each image, int64 (n,), or the same of all.
        indices: of the images, int64 (n,).
    """
    labels, weights = tensors
    count = tf.shape(labels, tf.int64)[1]
    columns = tf.broadcast_to(tf.cast(views, tf.int64) % count, tf.shape(indices))
    chosen = tf.stack([indices, columns], axis=1)
    of_batch, shares = tf.gather_nd(labels, chosen), tf.gather_nd(weights, chosen)
    one_hot = tf.one_hot(of_batch, classes)
    return tf.reduce_sum(one_hot * shares[..., tf.newaxis], axis=1)


def to_sparse(targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels, int32 (n, mixed), and the weights, float32 (n, mixed), in a batch.

    Args:
        targets: labels, int (n,), or weights of all classes, float32 or bool (n, classes); or
            numbers, float32 (n,), which are the weight of one class.
    """
    if targets.ndim == 1 and targets.dtype.kind == "f":
        targets = targets[:, np.newaxis]
    if targets.ndim == 1:
        labels = targets[:, np.newaxis].astype(np.int32)
        return labels, np.ones(labels.shape, np.float32)
    targets = targets.astype(np.float32)
    mixed = max(int(np.count_nonzero(targets, axis=1).max()), 1)
    labels = np.argsort(-targets, axis=1, kind="stable")[:, :mixed].astype(np.int32)
    return labels, np.take_along_axis(targets, labels, axis=1)


def join_batches(
    batches: Sequence[LabelBatch], images: int, views: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels and the weights of `ViewLabels`.

    Args:
        batches: of all views of all images.
        images: the number of images.
        views: the number of views of each image.
    """
    shape = (images, views, max(part.shape[1] for _, _, part, _ in batches))
    labels, weights = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    for indices, view, some, shares in batches:
        labels[indices, view, : some.shape[1]] = some
        weights[indices, view, : some.shape[1]] = shares
    if (labels == labels[:, :1]).all() and (weights == weights[:, :1]).all():
        return labels[:, :1], weights[:, :1]
    return labels, weights
