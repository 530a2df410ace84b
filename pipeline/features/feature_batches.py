"""Batches of features that a head is trained on, within TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.data.batches import prefetched
from pipeline.features.extraction import Features
from pipeline.features.view_labels import dense_labels


def feature_batches(
    features: Features, indices: tf.data.Dataset, to_targets: Callable[[Any, Any], Any]
) -> tf.data.Dataset:
    """Return batches of features, float32, and labels.

    Args:
        features: the features.
        indices: batches of int64 (n,) each: how often the image was drawn before, which chooses
            one of its views, and its index.
        to_targets: makes labels into the targets of an output layer, as `targets_for` returns it.
    """
    classes = features.labels.classes
    if features.fits_in_memory:
        tables = feature_tables(features)

        def batch(passes: Any, of_images: Any) -> Any:
            return to_targets(*read_features(tables, classes, passes, of_images))

    else:
        read, labels = _file_reader(features), features.labels.tensors()

        def batch(passes: Any, of_images: Any) -> Any:
            views = passes % features.views
            activations = read(views, of_images)
            for tensor, array in zip(activations, features.activations, strict=True):
                tensor.set_shape((None, *array.shape[1:]))
            dense = dense_labels(labels, classes, views, of_images)
            return to_targets(_single_or_tuple(activations), dense)

    return prefetched(indices.map(batch, num_parallel_calls=2, deterministic=True))


def feature_tables(features: Features) -> dict[str, Any]:
    """Return features that fit in memory as tensors, for `read_features`."""
    with tf.device("CPU:0"):
        return {
            "activations": tuple(tf.constant(array) for array in features.activations),
            "rows": tf.constant(features.rows),
            "labels": features.labels.tensors(),
        }


def read_features(
    tables: Mapping[str, Any], classes: int, passes: Any, indices: Any
) -> tuple[Any, Any]:
    """Return the features of images, float32, and their labels, float32 (n, classes).

    It is computed within TensorFlow.

    Args:
        tables: what `feature_tables` returned.
        classes: the number of classes.
        passes: int64 (n,), how often each image was drawn before, which chooses one of its views.
        indices: int64 (n,), of the images.
    """
    rows = tables["rows"]
    views = passes % tf.shape(rows, tf.int64)[1]
    batch_rows = tf.gather_nd(rows, tf.stack([indices, views], axis=1))
    activations = [
        tf.cast(tf.gather(array, batch_rows), tf.float32) for array in tables["activations"]
    ]
    labels = dense_labels(tables["labels"], classes, views, indices)
    return _single_or_tuple(activations), labels


def _single_or_tuple(activations: Sequence[Any]) -> Any:
    return activations[0] if len(activations) == 1 else tuple(activations)


def _file_reader(features: Features) -> Callable[[Any, Any], list[Any]]:
    """Return a function that reads activations from their files."""

    def read(views: np.ndarray, indices: np.ndarray) -> list[np.ndarray]:
        return features.batch(indices, views)

    types = [tf.float32] * len(features.activations)
    return lambda views, indices: tf.numpy_function(read, [views, indices], types, stateful=False)
