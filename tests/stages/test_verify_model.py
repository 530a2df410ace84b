"""Whether the model that was saved is the model that was judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.data import digits, image_folder
from pipeline.data.splits import Splits
from pipeline.errors import ModelError
from pipeline.evaluation.predictions import Predictions
from pipeline.inference import classifier as classifiers
from pipeline.inference.prediction import predict
from pipeline.recipe.grammar import Recipe
from pipeline.stages.verify_model import IMAGES, ModelVerification


class InThisProcess:
    """Stands for the fresh process."""

    def __init__(self) -> None:
        self.spoil = 0.0

    def ask(self, folder: Path, files: list[Path]) -> None:
        self.files = files
        self._classifier = classifiers.load_classifier(folder) if folder.exists() else None

    def answer(self) -> np.ndarray:
        if self._classifier is None:
            raise ModelError("it is broken")
        given = predict(self._classifier, self.files, self._classifier.interface.read)
        found = np.stack([prediction.probabilities for prediction in given])
        return (1 - self.spoil) * found + self.spoil * np.roll(found, 1, axis=1)


RECIPE = Recipe.model_validate({"data": {"source": "digits"}, "model": {"architecture": "mlp"}})


@pytest.fixture(scope="module")
def splits() -> Splits:
    return digits.load(digits.DigitsConfig(source="digits"))


@pytest.fixture(scope="module")
def judged(splits: Splits, digits_model: Path) -> Predictions:
    split = splits.validation
    pixels = split.images.read(np.arange(len(split)))
    given = classifiers.load_classifier(digits_model).probabilities(pixels)
    names, digests = split.names, split.image_digests
    return Predictions(splits.class_names, names, digests, split.labels, given)


def checked(
    judged: Predictions, splits: Splits, folder: Path, tmp_path: Path, spoil: float = 0.0
) -> tuple[dict[str, float], list[str]]:
    process: Any = InThisProcess()
    process.spoil = spoil
    check = ModelVerification(process, tmp_path)
    check.ask(RECIPE, splits, folder)
    messages: list[str] = []
    return check.metrics(judged, say=messages.append), messages


def test_digits_go_through_files_and_get_the_same_answers(
    judged: Predictions, splits: Splits, digits_model: Path, tmp_path: Path
) -> None:
    metrics, messages = checked(judged, splits, digits_model, tmp_path)
    assert metrics.pop("reload/difference") < 1e-6
    assert metrics == {"reload/other_labels": 0, "reload/images": IMAGES}
    assert messages == []


def test_a_saved_model_that_answers_otherwise_is_told_loudly(
    judged: Predictions, splits: Splits, digits_model: Path, tmp_path: Path
) -> None:
    metrics, (message,) = checked(judged, splits, digits_model, tmp_path, spoil=1.0)
    assert metrics["reload/other_labels"] == IMAGES
    difference = metrics["reload/difference"]
    assert difference > 0.9
    assert message == (
        "WARNING: the saved model, loaded in a fresh process, gives 8 of 8 validation images "
        "another label than the one that was judged, and probabilities that differ by up to "
        f"{difference:.2g}."
    )


def test_a_saved_model_that_cannot_be_loaded_is_told_loudly(
    judged: Predictions, splits: Splits, tmp_path: Path
) -> None:
    metrics, messages = checked(judged, splits, tmp_path / "absent", tmp_path)
    assert metrics == {}
    assert messages == [
        "WARNING: the saved model could not be used in a fresh process: it is broken"
    ]


def test_photographs_are_asked_about_by_their_own_files(photographs: Path, tmp_path: Path) -> None:
    recipe = Recipe.model_validate(
        {
            "data": {"source": "image_folder", "path": photographs, "image_size": [8, 8]},
            "model": {"architecture": "mlp"},
        }
    )
    process: Any = InThisProcess()
    splits = image_folder.load(recipe.data)
    ModelVerification(process, tmp_path).ask(recipe, splits, tmp_path / "absent")
    assert len(process.files) == IMAGES
    assert {path.parent for path in process.files} == {
        photographs / "val" / "ants",
        photographs / "val" / "bees",
    }
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_may_do_without(judged: Predictions, splits: Splits, tmp_path: Path) -> None:
    check = ModelVerification(None, tmp_path)
    check.ask(RECIPE, splits, tmp_path)
    assert check.metrics(judged, say=pytest.fail) == {}
