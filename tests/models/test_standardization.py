"""Standardized pixels."""

from __future__ import annotations

import keras
import numpy as np
from sklearn.datasets import load_digits

from pipeline.models.standardization import standardization


def standardized(images: np.ndarray) -> np.ndarray:
    pixels = keras.Input(images.shape[1:])
    layer = standardization(lambda: images)
    return np.asarray(keras.Model(pixels, layer(pixels))(images))


def test_each_channel_of_the_measured_images_gets_mean_0_and_variance_1() -> None:
    digits = np.round(load_digits().images[..., np.newaxis] * 255 / 16).astype(np.uint8)
    images = np.concatenate([digits, digits // 3 + 100], axis=-1)
    result = standardized(images)
    np.testing.assert_allclose(result.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(result.var((0, 1, 2)), 1, atol=1e-3)


def test_images_of_one_color_stay_finite() -> None:
    assert (standardized(np.full((3, 8, 8, 1), 200, np.uint8)) == 0).all()


def test_each_number_gets_mean_0_and_variance_1_however_small_it_is() -> None:
    numbers = np.random.default_rng(0).normal((3, -1), (0.01, 50), (500, 2)).astype(np.float32)
    result = standardized(numbers)
    np.testing.assert_allclose(result.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(result.var(0), 1, atol=1e-3)


def test_numbers_that_are_all_equal_stay_finite() -> None:
    assert (standardized(np.full((3, 2), 7, np.float32)) == 0).all()


def test_no_image_is_read_before_an_architecture_standardizes() -> None:
    def read() -> np.ndarray:
        raise AssertionError("read")

    standardization(read)
