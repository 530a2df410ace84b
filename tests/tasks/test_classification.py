"""What a classifier's loss, labels and recipe have to do with each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeline.models.layers import OutputLayer
from pipeline.tasks import classification
from pipeline.training.training_config import TrainingConfig


@pytest.mark.parametrize(
    ("loss", "output"),
    [
        ("cross_entropy", OutputLayer(2, "softmax")),
        ("binary_cross_entropy", OutputLayer(1, "sigmoid")),
        ("focal_cross_entropy", OutputLayer(2, "softmax")),
        ({"binary_focal_cross_entropy": {}}, OutputLayer(1, "sigmoid")),
    ],
)
def test_a_loss_has_the_output_and_the_targets_that_it_needs(
    loss: Any, output: OutputLayer
) -> None:
    labels, checked = np.array([0, 1]), TrainingConfig(loss=loss).loss
    assert classification.output_layer(2, checked, labels, (8,)) == output
    encoding = classification.label_encoding(2, output)
    dense = encoding.dense(tf.constant([0, 1]))
    np.testing.assert_array_equal(dense, np.eye(2))
    np.testing.assert_array_equal(encoding.targets(None, dense), np.eye(2)[:, -output.units :])
    mixed = tf.constant([[0.25, 0.75]])
    np.testing.assert_array_equal(encoding.dense(mixed), mixed)
