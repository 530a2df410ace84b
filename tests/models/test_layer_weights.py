"""Weights that a recipe gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.models.mlp import MLPConfig
from pipeline.models.perceptron import PerceptronConfig

OR_AND = {"kernel": [[1.0, 1.0], [1.0, 1.0]], "bias": [-0.5, -1.5]}
DIFFERENCE = {"kernel": [[1.0, -1.0], [-1.0, 1.0]], "bias": [-0.5, 0.5]}


def network(weights: Any, hidden: tuple[int, ...] = (2,)) -> MLPConfig:
    return MLPConfig.model_validate(
        {"architecture": "mlp", "hidden": hidden, "initial_weights": weights}
    )


def test_a_network_begins_with_them(build: Callable[..., Any]) -> None:
    model = build(
        "mlp", (2,), 2, hidden=[2], initial_weights=[OR_AND, DIFFERENCE], standardize=False
    )
    hidden, output = (layer for layer in model.layers if layer.weights)
    assert np.asarray(hidden.kernel).tolist() == OR_AND["kernel"]
    assert np.asarray(output.bias).tolist() == DIFFERENCE["bias"]
    assert not any(layer.name == "standardization" for layer in model.layers)


def test_a_network_with_batch_normalization_has_no_hidden_bias(build: Callable[..., Any]) -> None:
    from pipeline.models.regularization import RegularizationConfig

    normalized = RegularizationConfig(batch_norm=True)
    weights = [OR_AND, DIFFERENCE]
    model = build("mlp", (2,), 2, normalized, hidden=[2], initial_weights=weights)
    (hidden,) = (each for each in model.layers if not getattr(each, "use_bias", True))
    assert np.asarray(hidden.kernel).tolist() == OR_AND["kernel"]


@pytest.mark.parametrize(
    ("weights", "path", "message"),
    [
        (
            [OR_AND],
            ("initial_weights",),
            "expected the weights of 2 layers: 1 hidden and the output layer. Received 1.",
        ),
        (
            [{"kernel": [[1.0, 1.0], [1.0]], "bias": [0.0, 0.0]}, DIFFERENCE],
            ("initial_weights", 0),
            "expected 2 weights in each row of the kernel, as many as numbers in bias. Received 1 "
            "in row 1.",
        ),
        (
            [{"kernel": [[1.0], [1.0]], "bias": [0.0]}, DIFFERENCE],
            ("initial_weights", 0),
            "expected 2 units, as in model.hidden. Received 1.",
        ),
        (
            [OR_AND, {"kernel": [[1.0, 1.0]], "bias": [0.0, 0.0]}],
            ("initial_weights", 1, "kernel"),
            "expected 2 rows, one for each unit of the layer before. Received 1.",
        ),
    ],
)
def test_weights_that_do_not_fit_each_other_are_an_error(
    weights: Any, path: Any, message: str
) -> None:
    assert list(network(weights).problems()) == [(path, message)]


def test_weights_that_do_not_fit_the_data_are_an_error(build: Callable[..., Any]) -> None:
    with pytest.raises(ModelError) as caught:
        build("mlp", (3,), 2, hidden=[2], initial_weights=[OR_AND, DIFFERENCE])
    assert str(caught.value) == (
        "model.initial_weights.0: expected weights of 3 inputs and 2 units. Received 2 inputs and "
        "2 units."
    )


def test_a_perceptron_has_one_unit() -> None:
    config = PerceptronConfig.model_validate(
        {"architecture": "perceptron", "initial_weights": OR_AND}
    )
    assert list(config.problems()) == [(("initial_weights",), "expected one unit. Received 2.")]
