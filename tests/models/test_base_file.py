"""Bases from .keras files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.models.base_file import load_base_file

SHAPE = (12, 12, 3)
Layers = list[Any]
layers = keras.layers


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Layers], Path]:
    """Saves a convolution with these layers after it, and returns the path."""

    def save(after: Layers) -> Path:
        path = tmp_path / "base.keras"
        inputs = x = keras.Input(SHAPE)
        for layer in [layers.Conv2D(4, 3, name="conv"), *after]:
            x = layer(x)
        keras.Model(inputs, x, name="base").save(path)
        return path

    return save


@pytest.mark.parametrize(
    ("after", "classifier", "features"),
    [
        ([layers.Flatten(), layers.Dense(5, "softmax", name="last")], "last", (400,)),
        (
            [
                layers.GlobalAveragePooling2D(),
                layers.Dense(6, "relu"),
                layers.Dropout(0.5),
                layers.Dense(1, "sigmoid", name="last"),
            ],
            "last",
            (6,),
        ),
        ([layers.GlobalAveragePooling2D(), layers.Dense(5, name="logits")], "logits", (4,)),
        (
            [
                layers.Conv2D(5, 1, name="classes"),
                layers.GlobalAveragePooling2D(),
                layers.Reshape((5,)),
                layers.Activation("softmax"),
            ],
            "classes",
            (10, 10, 4),
        ),
        (
            [layers.GlobalAveragePooling2D(), layers.Dense(5, name="logits"), layers.Softmax()],
            "logits",
            (4,),
        ),
    ],
)
def test_a_classifier_is_left_out(
    saved: Callable[[Layers], Path],
    messages: list[str],
    after: Layers,
    classifier: str,
    features: tuple[int, ...],
) -> None:
    path = saved(after)
    assert load_base_file(path, SHAPE).output.shape[1:] == features
    assert messages == [f"model.base: leaving out the classifier of {path}, from '{classifier}' on"]


@pytest.mark.parametrize(
    "after", [[], [layers.GlobalAveragePooling2D()], [layers.Flatten(), layers.Dense(5, "relu")]]
)
def test_features_are_no_classifier(
    saved: Callable[[Layers], Path], messages: list[str], after: Layers
) -> None:
    base = load_base_file(saved(after), SHAPE)
    assert len(base.layers) == 2 + len(after)
    assert messages == []


def test_what_remains_has_the_weights_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "base.keras"
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Conv2D(4, 3),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5, "softmax"),
        ]
    )
    model.save(path)
    images = np.random.default_rng(0).random((2, *SHAPE), np.float32)
    expected = keras.Model(model.inputs[0], model.layers[1].output)(images)
    np.testing.assert_allclose(load_base_file(path, SHAPE)(images), expected, rtol=1e-6)


def test_a_classifier_inside_a_model_is_an_error(saved: Callable[[Layers], Path]) -> None:
    inner = keras.Sequential([layers.Flatten(), layers.Dense(5, "softmax")], name="inner")
    path = saved([inner])
    with pytest.raises(ModelError) as caught:
        load_base_file(path, SHAPE)
    assert str(caught.value) == (
        f"model.base: {path} ends in the model 'inner', which ends in a classifier. Save a network "
        "without it."
    )


def test_probabilities_of_no_layer_with_weights_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "base.keras"
    inputs = keras.Input(SHAPE)
    parts = [layers.GlobalAveragePooling2D()(layers.Conv2D(5, 3)(inputs)) for _ in range(2)]
    keras.Model(inputs, layers.Softmax()(layers.Add()(parts))).save(path)
    with pytest.raises(ModelError) as caught:
        load_base_file(path, SHAPE)
    assert str(caught.value) == (
        f"model.base: {path} ends in probabilities, but in no dense layer or convolution that "
        "could be left out. Save a network that ends in features."
    )


def test_a_classifier_alone_is_no_base(tmp_path: Path) -> None:
    path = tmp_path / "base.keras"
    inputs = keras.Input(SHAPE)
    keras.Model(inputs, layers.Dense(5, "softmax")(layers.Flatten()(inputs))).save(path)
    with pytest.raises(ModelError) as caught:
        load_base_file(path, SHAPE)
    assert str(caught.value) == f"model.base: {path} has no weights, apart from a classifier."
