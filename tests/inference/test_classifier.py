"""A model with its interface, loaded from its folder."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.inference import classifier as classifiers
from pipeline.inference import model_interface as interfaces


def test_probabilities_of_every_image_add_up_to_one(digits_model: Path) -> None:
    classifier = classifiers.load_classifier(digits_model)
    found = classifier.probabilities(np.full((3, 8, 8, 1), 200, np.uint8))
    assert found.shape == (3, 10)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)


def test_a_model_that_holds_python_code_is_refused_and_not_run(
    digits_model: Path, tmp_path: Path
) -> None:
    shutil.copy(digits_model / "interface.json", tmp_path)
    pixels = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(keras.layers.Lambda(lambda x: x + 1)(pixels))
    keras.Model(pixels, keras.layers.Dense(10)(flat)).save(tmp_path / "model.keras")
    with pytest.raises(ModelError, match="is a Lambda, which contains or loads code"):
        classifiers.load_classifier(tmp_path)


def test_a_model_of_other_classes_than_its_interface_says_is_refused(
    digits_model: Path, tmp_path: Path
) -> None:
    shutil.copy(digits_model / "model.keras", tmp_path)
    replace(interfaces.load_interface(digits_model), class_names=("ants", "bees")).save(tmp_path)
    with pytest.raises(ModelError) as refused:
        classifiers.load_classifier(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path}/model.keras does not fit the interface.json beside it. Expected images of "
        "(8, 8, 1) and 2 classes. Received: (8, 8, 1) and 10."
    )
