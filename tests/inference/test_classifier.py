"""A model with its interface, loaded from its directory."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.inference.classifier import load_classifier
from pipeline.inference.model_interface import load_interface


def test_the_probabilities_of_an_image_sum_to_1(digits_model: Path) -> None:
    classifier = load_classifier(digits_model)
    probabilities = classifier.probabilities(np.full((3, 8, 8, 1), 200, np.uint8))
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
        "images of shape (8, 8, 1) and 2 classes. Received: (8, 8, 1) and 10. Export the model "
        "again with `pipeline export`."
    )
