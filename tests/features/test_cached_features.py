"""Batches of cached features, made of the digits' own pixels."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from pipeline.data.digits import DigitsConfig
from pipeline.data.splits import ArrayImages, Split
from pipeline.features.cached_features import HeadInputs, head_batches
from pipeline.features.extraction import Features
from pipeline.features.view_labels import ViewLabels
from pipeline.models.layers import OutputLayer
from pipeline.tasks.classification import label_encoding
from pipeline.training.graph_steps import GraphSteps
from pipeline.training.training_data import TrainingData

VIEWS = 3
ENCODING = label_encoding(10, OutputLayer(10, "softmax"))


def features_of(split: Split, views: int) -> Features:
    """Return features whose first number is that of the image, the second that of the view."""
    count = len(split)
    pixels = split.images.read(np.arange(count)).reshape(count, -1).astype(np.float32)
    activations = np.repeat(pixels, views, axis=0)
    activations[:, 0], activations[:, 1] = np.divmod(np.arange(count * views), views)
    return Features(
        [activations],
        rows=np.arange(count * views).reshape(count, views),
        labels=ViewLabels(
            split.labels.astype(np.int32)[:, np.newaxis, np.newaxis],
            np.ones((count, 1, 1), np.float32),
            classes=10,
        ),
        images_per_second=0.0,
    )


@pytest.fixture(scope="module")
def train() -> Split:
    """Sixty digits: 24 of 0, 20 of 1 and two of each other one."""
    everything = DigitsConfig(source="digits").load().train
    limits = {0: 24, 1: 20}
    kept = np.concatenate(
        [np.flatnonzero(everything.labels == n)[: limits.get(n, 2)] for n in range(10)]
    )
    return Split(
        ArrayImages(everything.images.read(kept)),
        everything.labels[kept],
        [everything.names[index] for index in kept],
        everything.image_digests[kept],
        digest="sixty",
    )


def batches_of(train: Split, **changes: Any) -> TrainingData:
    arguments: dict[str, Any] = {
        "sampling": "natural",
        "class_weights": None,
        "batch_size": "all",
        **changes,
    }
    inputs = HeadInputs(features_of(train, VIEWS), features_of(train, 1))
    return head_batches(inputs, train.labels, encoding=ENCODING, seed=1, **arguments)


def epochs(train: Split, **changes: Any) -> list[list[np.ndarray]]:
    """Return the arrays of two epochs."""
    batches = batches_of(train, **changes)
    assert batches.validation is not None
    for batch in batches.validation:
        assert len(batch) == 2  # unweighted
    return [list(batch) for batch in batches.training(0, 2).as_numpy_iterator()]


def test_an_epoch_has_one_view_of_every_image(train: Split) -> None:
    for epoch, (features, labels) in enumerate(epochs(train)):
        images = features[:, 0].astype(int)
        assert sorted(images) == list(range(60))
        assert set(features[:, 1]) == {epoch}
        np.testing.assert_array_equal(labels.argmax(axis=1), train.labels[images])


def test_with_balanced_sampling_repeated_images_have_other_views(train: Split) -> None:
    (features, labels), _ = epochs(train, sampling="balanced")
    assert np.bincount(labels.argmax(axis=1)).tolist() == [6] * 10
    np.testing.assert_array_equal(labels.argmax(axis=1), train.labels[features[:, 0].astype(int)])
    drawn = {(int(image), int(view)) for image, view in features[:, :2]}
    assert len(drawn) == len(features) == 60  # six draws of two images: all three views of both


def test_an_image_has_the_weight_of_its_class(train: Split) -> None:
    weights = np.arange(1, 11, dtype=np.float32)
    for _, labels, image_weights in epochs(train, class_weights=weights):
        np.testing.assert_array_equal(image_weights, weights[labels.argmax(axis=1)])


def test_the_batches_that_are_read_in_the_graph_are_the_same(train: Split) -> None:
    weights = np.arange(1, 11, dtype=np.float32)
    batches = batches_of(train, sampling="balanced", class_weights=weights, batch_size=25)
    graph = batches.graph
    assert graph is not None
    found = [
        graph.read(draws[start : start + 25], step, tables)
        for draws, step, tables in graph.chunks(1, 3)
        for start in range(0, len(draws), 25)
    ]
    expected = list(batches.training(1, 3))
    assert len(found) == len(expected) == 6
    for one, other in zip(found, expected, strict=True):
        for array, expected_array in zip(one, other, strict=True):
            np.testing.assert_array_equal(array, expected_array)


def test_a_head_that_is_trained_in_the_graph_has_the_weights_of_fit(train: Split) -> None:
    batches = batches_of(train, batch_size=25)
    graph = batches.graph
    assert graph is not None
    trained = []
    for in_graph in (True, False):
        keras.utils.set_random_seed(3)
        inputs = keras.Input((64,))
        x = keras.layers.Dropout(0.3)(keras.layers.Rescaling(1 / 255)(inputs))
        head = keras.Model(inputs, keras.layers.Dense(10, "softmax", kernel_regularizer="l2")(x))
        model = GraphSteps(head, graph) if in_graph else head
        model.compile("adam", "categorical_crossentropy", jit_compile=False)
        model.fit(
            graph.chunks(0, 3) if in_graph else batches.training(0, 3),
            steps_per_epoch=graph.chunks_per_epoch if in_graph else batches.steps_per_epoch,
            epochs=3,
            shuffle=False,
            verbose=0,
        )
        trained.append(head.get_weights())
    for weight, expected in zip(*trained, strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=1e-6)
    assert np.ptp(trained[0][0]) > 0.1
