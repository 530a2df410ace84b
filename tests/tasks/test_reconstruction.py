"""Reconstruction: each image is its own label."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pipeline.data.splits import ArrayImages
from pipeline.models.layers import OutputLayer
from pipeline.tasks import reconstruction

IMAGES = np.random.default_rng(0).integers(0, 256, (600, 4, 4, 1), np.uint8)


def test_the_targets_are_the_images_as_the_model_takes_them() -> None:
    output = reconstruction.output_layer(2, "mean_squared_error", np.array([0, 1]), (4, 4, 1))
    assert output == OutputLayer(16, "sigmoid", shape=(4, 4, 1))
    encoding = reconstruction.label_encoding(2, output)
    dense = encoding.dense(tf.constant([0, 1]))
    targets = encoding.targets(tf.constant(IMAGES[:2]), dense)
    np.testing.assert_allclose(targets, IMAGES[:2] / 255)


def test_the_error_of_an_image_is_its_mean_squared_error() -> None:
    drawn = np.random.default_rng(1).random(IMAGES.shape).astype(np.float32)
    errors = reconstruction.outputs(drawn, ArrayImages(IMAGES))
    expected = ((drawn - IMAGES / 255) ** 2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(errors[:, 0], expected, rtol=1e-4)


def test_an_anomaly_has_a_larger_error_than_nineteen_of_twenty_images() -> None:
    errors = np.linspace(0, 1, 101)[:, np.newaxis]
    thresholds = reconstruction.choose_thresholds(2, lambda: (np.zeros(101, int), errors))
    np.testing.assert_allclose(thresholds, [0.95])
    assert reconstruction.decide(errors, thresholds).sum() == 5
    assert reconstruction.answer(np.array([0.96]), thresholds, ()) == {
        "reconstruction_error": 0.96,
        "is_anomaly": True,
    }
    assert not reconstruction.decide(errors, reconstruction.choose_thresholds(2, None)).any()


def test_rounding_makes_no_anomaly() -> None:
    errors = np.full((4, 1), 0.5)
    thresholds = np.array([0.5])
    assert reconstruction.difference(errors + 1e-7, errors, thresholds).changed == 0
    assert reconstruction.difference(errors + 1e-2, errors, thresholds).changed == 4
