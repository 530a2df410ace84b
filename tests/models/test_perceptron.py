"""The network of the perceptron."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pipeline import keras_files
from pipeline.models.layers import OutputLayer
from pipeline.models.perceptron import PerceptronConfig
from pipeline.models.regularization import RegularizationConfig
from pipeline.models.standardization import standardization

CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
NAND = {"kernel": [[-2.0], [-2.0]], "bias": [3.0]}


def built(**keys: Any) -> keras.Model:
    config = PerceptronConfig.model_validate({"architecture": "perceptron", **keys})
    return config.build(
        input_shape=(2,),
        output=config.output_layer(OutputLayer(2, "softmax")),
        regularization=RegularizationConfig(),
        standardize=standardization(lambda: CORNERS),
    )


def test_it_begins_with_zeros_and_answers_0() -> None:
    model = built()
    assert not any(np.any(weights) for weights in model.get_weights())
    assert model.predict(CORNERS, verbose=0).ravel().tolist() == [0, 0, 0, 0]


def test_given_weights_compute_nand_and_a_file_keeps_the_step(tmp_path: Path) -> None:
    model = built(initial_weights=NAND)
    model.save(tmp_path / "model.keras")
    for each in (model, keras_files.load_keras_file(tmp_path / "model.keras")):
        assert each.predict(CORNERS, verbose=0).ravel().tolist() == [1, 1, 1, 0]


@pytest.mark.parametrize(
    ("kind", "classes", "problem"),
    [
        ("class", 2, ""),
        ("class", None, ""),
        ("class", 3, "perceptron needs two classes. The data has 3."),
        ("number", None, "perceptron needs data.task: classification."),
    ],
)
def test_it_learns_two_classes(kind: str, classes: int | None, problem: str) -> None:
    assert PerceptronConfig(architecture="perceptron").label_problem(kind, classes) == problem
