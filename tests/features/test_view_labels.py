"""Labels of views: sparse as they are kept, dense in a batch."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

from pipeline.data.augmentation import augmenter
from pipeline.features.view_labels import ViewLabels, dense_labels, join_batches, to_sparse

COUNT, VIEWS = 50, 3


def mixed_labels(classes: int, *layers: Any) -> list[np.ndarray]:
    """Return the labels of each view of some digits, dense, of 10 or more classes."""
    dataset = load_digits()
    pixels = dataset.images[:COUNT, ..., np.newaxis] * 15
    labels = tf.one_hot(dataset.target[:COUNT], classes)
    augment = augmenter(layers, seed=0)
    return [np.asarray(augment(pixels, labels, view)[1]) for view in range(VIEWS)]


def read(labels: ViewLabels, view: int, indices: np.ndarray) -> np.ndarray:
    return np.asarray(dense_labels(labels.tensors(), labels.classes, view, indices))


def joined(dense: list[np.ndarray]) -> ViewLabels:
    """Return the labels of views that were computed in batches of 20 images."""
    batches = [np.arange(start, min(start + 20, COUNT)) for start in range(0, COUNT, 20)]
    parts = [
        (indices, view, *to_sparse(dense[view][indices]))
        for indices in batches
        for view in range(VIEWS)
    ]
    return ViewLabels(*join_batches(parts, COUNT, VIEWS), dense[0].shape[1])


@pytest.mark.parametrize(
    ("layers", "mixed"),
    [
        ([keras.layers.MixUp(alpha=1.0)], 2),
        ([keras.layers.CutMix()], 2),
        ([keras.layers.MixUp(alpha=1.0), keras.layers.CutMix()], 4),
    ],
    ids=["mix_up", "cut_mix", "both"],
)
def test_mixed_labels_are_read_as_they_were(layers: list[Any], mixed: int) -> None:
    dense = mixed_labels(10, *layers)
    labels = joined(dense)
    assert labels.labels.shape == labels.weights.shape == (COUNT, VIEWS, mixed)
    indices = np.array([49, 3, 3, 20])
    for view in range(VIEWS):
        np.testing.assert_array_equal(read(labels, view, indices), dense[view][indices])


def test_labels_that_are_equal_in_all_views_are_kept_once() -> None:
    dense = mixed_labels(10, keras.layers.RandomFlip())
    labels = joined(dense)
    assert labels.labels.shape == (COUNT, 1, 1)
    np.testing.assert_array_equal(read(labels, VIEWS - 1, np.arange(COUNT)), dense[0])


def test_whole_numbers_have_the_weight_1() -> None:
    labels, weights = to_sparse(np.array([3, 0, 7]))
    assert (labels.tolist(), weights.tolist()) == ([[3], [0], [7]], [[1.0], [1.0], [1.0]])


def test_the_size_of_labels_does_not_depend_on_the_number_of_classes() -> None:
    few, many = (joined(mixed_labels(classes, keras.layers.MixUp())) for classes in (10, 1000))
    np.testing.assert_array_equal(few.labels, many.labels)
    np.testing.assert_array_equal(few.weights, many.weights)
    assert read(few, 0, np.arange(2)).shape == (2, 10)
    assert read(many, 0, np.arange(2)).shape == (2, 1000)
