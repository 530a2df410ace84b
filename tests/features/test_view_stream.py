"""The views of images are those of the augmentation, each computed once."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.data.augmentation import augmenter
from pipeline.data.splits import ArrayImages
from pipeline.features.known_views import KnownViews, ViewTable
from pipeline.features.view_labels import LabelBatch, join_batches
from pipeline.features.view_stream import BATCH_SIZE, AugmentedViews, ViewStream
from pipeline.models.layers import OutputLayer
from pipeline.tasks.classification import label_encoding

COUNT, VIEWS = 40, 6


@pytest.mark.parametrize(
    "names", [["horizontal"], ["vertical", "horizontal"], ["horizontal_and_vertical"]]
)
def test_flips_are_those_of_the_augmentation(names: list[str]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (COUNT, 6, 5, 3), dtype=np.uint8)
    labels, order = np.arange(COUNT) % 2, np.random.default_rng(1).permutation(COUNT)
    layers: list[Any] = [keras.layers.RandomFlip(name, dtype="float32") for name in names]
    views = AugmentedViews(VIEWS, layers, None, 7)
    encoding = label_encoding(2, OutputLayer(2, "softmax"))
    stream = ViewStream(ArrayImages(images), labels, order, views, encoding, first_batch=3)
    table, batches = ViewTable(KnownViews(()), COUNT, VIEWS), list[LabelBatch]()
    computed = np.concatenate(list(stream.new_views(table, batches)))
    assert len(np.unique(computed.reshape(len(computed), -1), axis=0)) == len(computed)
    augment = augmenter(layers, seed=7)
    for batch, start in enumerate(range(0, COUNT, BATCH_SIZE)):
        some = order[start : start + BATCH_SIZE]
        for view in range(VIEWS):
            step = (batch + 3) * VIEWS + view
            expected, _ = augment(images[some], tf.one_hot(labels[some], 2), step)
            np.testing.assert_array_equal(computed[table.rows()[some, view]], expected)
    classes, weights = join_batches(batches, COUNT, VIEWS)
    np.testing.assert_array_equal(classes[:, 0, 0], labels)
    assert (weights == 1).all()
