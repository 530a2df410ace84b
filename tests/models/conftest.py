"""What the tests of architectures share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from pipeline.models.architectures import ARCHITECTURES
from pipeline.models.layers import OutputLayer
from pipeline.models.regularization import RegularizationConfig


class _ZeroKernels(RegularizationConfig):
    """Spares the random weights of a network whose parameters are only counted."""

    def kernel_arguments(self, activation: str, *, is_output: bool = False) -> dict[str, Any]:
        return {"kernel_initializer": "zeros", "kernel_regularizer": None}


def _build(
    architecture: str,
    image_shape: tuple[int, int, int],
    classes: int = 10,
    regularization: RegularizationConfig | None = None,
    **keys: Any,
) -> keras.Model:
    return ARCHITECTURES[architecture](architecture=architecture, **keys).build(
        input_shape=image_shape,
        output=OutputLayer(classes, "softmax"),
        regularization=regularization or _ZeroKernels(),
        standardize=keras.layers.Rescaling(1 / 75, -1.0),
    )


@pytest.fixture(scope="session")
def build() -> Callable[..., keras.Model]:
    """Builds a network, with kernels of zeros unless the test gives `regularization`."""
    return _build


@pytest.fixture(scope="session")
def accuracy_on_digits() -> Callable[..., float]:
    """Trains a network on 1,000 digits and returns its accuracy for the other 797."""

    def accuracy(architecture: str, side: int, epochs: int, rate: float, **keys: Any) -> float:
        digits = load_digits()
        images = np.round(digits.images[..., np.newaxis] * (255 / 16)).astype(np.uint8)
        images = images.repeat(side // 8, axis=1).repeat(side // 8, axis=2)
        keras.utils.set_random_seed(0)
        model = _build(architecture, (side, side, 1), 10, RegularizationConfig(), **keys)
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
        model.fit(images[:1000], digits.target[:1000], epochs=epochs, verbose=0)
        labels = model.predict(images[1000:], verbose=0).argmax(axis=1)
        return float(np.mean(labels == digits.target[1000:]))

    return accuracy
