"""A model with its interface, loaded from its directory."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.inference.classifier import load_classifier
from pipeline.inference.feature_distance import REFERENCES_FILE, DistanceConfig, make_references
from pipeline.inference.model_interface import load_interface


def test_the_probabilities_of_an_image_sum_to_1(digits_model: Path) -> None:
    classifier = load_classifier(digits_model)
    probabilities = classifier.predict(np.full((3, 8, 8, 1), 200, np.uint8))
    assert probabilities.shape == (3, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)


def test_a_model_with_python_code_is_rejected(digits_model: Path, tmp_path: Path) -> None:
    shutil.copy(digits_model / "interface.json", tmp_path)
    pixels = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(keras.layers.Lambda(lambda x: x + 1)(pixels))
    keras.Model(pixels, keras.layers.Dense(10)(flat)).save(tmp_path / "model.keras")
    with pytest.raises(ModelError, match="is a Lambda, which contains or loads code"):
        load_classifier(tmp_path)


def test_a_model_with_other_classes_than_its_interface_is_rejected(
    digits_model: Path, tmp_path: Path
) -> None:
    shutil.copy(digits_model / "model.keras", tmp_path)
    replace(load_interface(digits_model), class_names=("ants", "bees")).save(tmp_path)
    with pytest.raises(ModelError) as caught:
        load_classifier(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/model.keras does not match interface.json in the same directory. Expected "
        "inputs of shape (8, 8, 1) and outputs for classification of 2 classes. Received: "
        "(8, 8, 1) and 10 outputs. Export the model again with `pipeline export`."
    )


def with_references(model: Path, directory: Path, layer: str, units: int) -> None:
    """Copy a model, and let it measure distances between the outputs of a layer."""
    shutil.copy(model / "model.keras", directory)
    data = make_references(np.random.default_rng(0).random((20, units))).encode()
    (directory / REFERENCES_FILE).write_bytes(data)
    config = DistanceConfig(layer, 5, 0.5, 100, hashlib.sha256(data).hexdigest())
    replace(load_interface(model), distance=config).save(directory)


def test_the_outputs_are_the_same_with_and_without_distances(
    digits_model: Path, tmp_path: Path
) -> None:
    layer = load_classifier(digits_model).model.layers[-2]
    with_references(digits_model, tmp_path, layer.name, 64)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), np.uint8)
    plain, measured = (
        load_classifier(path).batch_outputs(pixels) for path in (digits_model, tmp_path)
    )
    np.testing.assert_allclose(measured.outputs, plain.outputs, rtol=1e-5)
    assert plain.distances is None
    assert measured.distances is not None
    assert measured.distances.shape == (4,)


@pytest.mark.parametrize(
    ("layer", "units", "received"),
    [
        ("absent", 64, "no such layer"),
        ("output", 64, "(None, 10)"),
        ("pixels", 8, "(None, 8, 8, 1)"),
    ],
)
def test_references_that_no_layer_has_the_features_of_are_an_error(
    digits_model: Path, tmp_path: Path, layer: str, units: int, received: str
) -> None:
    with_references(digits_model, tmp_path, layer, units)
    with pytest.raises(ModelError) as caught:
        load_classifier(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/model.keras does not match interface.json in the same directory. Expected a "
        f"layer {layer!r} with an output of shape (None, {units}). Received: {received}. Run the "
        "recipe again."
    )
