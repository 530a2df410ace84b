"""The multilayer perceptron."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from pipeline.models import mlp
from pipeline.models.layers import OutputLayer
from pipeline.models.regularization import RegularizationConfig

SOFTMAX = OutputLayer(10, "softmax")


def built(
    hidden: tuple[int, ...] = (32,),
    output: OutputLayer = SOFTMAX,
    **regularization: Any,
) -> keras.Model:
    return mlp.MLPConfig(architecture="mlp", hidden=hidden, activation="relu").build(
        input_shape=(8, 8, 1),
        output=output,
        regularization=RegularizationConfig(**regularization),
        standardize=keras.layers.Rescaling(1 / 255),
    )


def test_each_hidden_layer_has_its_units() -> None:
    widths = [layer.units for layer in built((64, 16)).layers if hasattr(layer, "units")]
    assert widths == [64, 16, 10]


def test_without_hidden_layers_it_is_a_linear_classifier() -> None:
    assert built(()).count_params() == 64 * 10 + 10


def test_probabilities_sum_to_one() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1))
    assert np.asarray(built()(pixels)).sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)


def test_a_sigmoid_output_is_one_unit() -> None:
    assert built(output=OutputLayer(1, "sigmoid")).output_shape == (None, 1)


def test_dropout_follows_each_hidden_layer() -> None:
    kinds = [type(layer).__name__ for layer in built((8, 8), dropout=0.5).layers]
    assert kinds[3:] == ["Dense", "Dropout", "Dense", "Dropout", "Dense"]


@pytest.mark.parametrize(("l1", "l2"), [(0.01, 0.0), (0.0, 0.02), (0.01, 0.02)])
def test_penalties_apply_to_the_kernels(l1: float, l2: float) -> None:
    model = built(l1=l1, l2=l2)
    kernels = [np.asarray(layer.kernel) for layer in model.layers if hasattr(layer, "kernel")]
    expected = sum(l1 * np.abs(kernel).sum() + l2 * np.square(kernel).sum() for kernel in kernels)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("activation", "initializer", "expected"),
    [
        ("relu", "auto", "he_normal"),
        ("tanh", "auto", "glorot_uniform"),
        ("sigmoid", "auto", "glorot_uniform"),
        ("relu", "lecun_normal", "lecun_normal"),
    ],
)
def test_the_initializer_depends_on_the_activation(
    activation: str, initializer: str, expected: str
) -> None:
    held = RegularizationConfig(initializer=initializer)
    assert held.kernel_arguments(activation)["kernel_initializer"] == expected


def test_zeros_initialize_the_output_layer_alone() -> None:
    kernels = [
        layer.kernel for layer in built((32, 16), initializer="zeros").layers if layer.weights
    ]
    assert [bool(np.any(kernel)) for kernel in kernels] == [True, True, False]
