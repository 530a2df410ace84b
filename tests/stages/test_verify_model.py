"""The saved model predicts as the trained model does."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline.data.digits import DigitsConfig
from pipeline.data.splits import Split, Splits
from pipeline.errors import ModelError
from pipeline.evaluation.predictions import Predictions
from pipeline.inference import classifier as classifiers
from pipeline.inference.batch_prediction import predict
from pipeline.recipe.grammar import Recipe
from pipeline.stages.verify_model import IMAGES, ModelVerification
from pipeline.tasks import classification


class InThisProcess:
    """Stands for the fresh process."""

    def __init__(self) -> None:
        self.spoil = 0.0
        self.error = ""

    def request(
        self,
        folder: Path,
        files: list[Path],
        graph: Path,
        *,
        feature_layer: str | None,
        network: str | None,
    ) -> None:
        assert graph.is_dir()
        assert feature_layer is network is None  # this model has no frozen base
        self.files = files
        self._classifier = classifiers.load_classifier(folder) if folder.exists() else None

    def graph_error(self) -> str:
        if self._classifier is None:
            raise ModelError("it is broken")
        return self.error

    def outputs(self) -> np.ndarray:
        assert self._classifier
        predictions = predict(self._classifier, self.files, self._classifier.interface.read)
        predicted = np.array([prediction.outputs for prediction in predictions])
        return (1 - self.spoil) * predicted + self.spoil * np.roll(predicted, 1, axis=1)


RECIPE = Recipe.model_validate({"data": {"source": "digits"}, "model": {"architecture": "mlp"}})


NO_TRAINER: Any = None  # which is not asked where a split is evaluated


@pytest.fixture(scope="module")
def splits() -> Splits:
    return DigitsConfig(source="digits").load()


@pytest.fixture(scope="module")
def expected(splits: Splits, digits_model: Path) -> Predictions:
    split = splits.named()["val"]
    pixels = split.images.read(np.arange(len(split)))
    probabilities = classifiers.load_classifier(digits_model).predict(pixels)
    names, digests = split.names, split.hex_digests()
    return Predictions(splits.class_names, names, digests, split.labels, probabilities)


def verified(
    expected: Predictions, splits: Splits, folder: Path, tmp_path: Path, spoil: float = 0.0
) -> dict[str, float]:
    process: Any = InThisProcess()
    process.spoil = spoil
    verification = ModelVerification(process, tmp_path)
    verification.ask(RECIPE, splits, folder, None)
    return verification.metrics(classification, splits, {"val": expected}, NO_TRAINER)


def test_digits_are_predicted_from_files_with_the_same_result(
    expected: Predictions,
    splits: Splits,
    digits_model: Path,
    tmp_path: Path,
    messages: list[str],
) -> None:
    metrics = verified(expected, splits, digits_model, tmp_path)
    assert metrics.pop("verification/max_difference") < 1e-6
    assert metrics == {"verification/label_changes": 0, "verification/count": IMAGES}
    assert messages == []


def test_a_model_without_a_graph_is_told(
    expected: Predictions,
    splits: Splits,
    digits_model: Path,
    tmp_path: Path,
    messages: list[str],
) -> None:
    process: Any = InThisProcess()
    for error, graph in (("", tmp_path / "1" / "graph"), ("it has an odd layer", None)):
        process.error = error
        directory = tmp_path / ("1" if graph else "2")
        directory.mkdir()
        verification = ModelVerification(process, directory)
        verification.ask(RECIPE, splits, digits_model, None)
        verification.metrics(classification, splits, {"val": expected}, NO_TRAINER)
        assert verification.graph == graph
    assert messages == [
        "The model has no graph for OpenVINO, so Keras computes it: it has an odd layer"
    ]


def test_a_saved_model_that_predicts_otherwise_is_a_warning(
    expected: Predictions,
    splits: Splits,
    digits_model: Path,
    tmp_path: Path,
    messages: list[str],
) -> None:
    metrics = verified(expected, splits, digits_model, tmp_path, spoil=1.0)
    assert metrics["verification/label_changes"] == IMAGES
    difference = metrics["verification/max_difference"]
    assert difference > 0.9
    assert messages == [
        "WARNING: The saved model, loaded in a fresh process, has another answer than the "
        "trained model for 8 of 8 validation images. Their outputs differ by up to "
        f"{difference:.2g}."
    ]


def test_training_images_are_predicted_where_no_split_is_evaluated(
    splits: Splits, digits_model: Path, tmp_path: Path, messages: list[str]
) -> None:
    trained_on = dataclasses.replace(splits, validation=None, test=None)
    model = classifiers.load_classifier(digits_model)
    asked: list[tuple[str, list[str]]] = []

    def predict(split: Split, name: str) -> np.ndarray:
        asked.append((name, list(split.names)))
        return np.roll(model.predict(split.images.read(np.arange(len(split)))), 1, axis=1)

    process: Any = InThisProcess()
    trainer: Any = SimpleNamespace(predict=predict)
    verification = ModelVerification(process, tmp_path)
    verification.ask(RECIPE, trained_on, digits_model, None)
    metrics = verification.metrics(classification, trained_on, {}, trainer)
    ((name, names),) = asked
    assert name == "train"
    assert names == [splits.train.names[index * len(splits.train) // 8] for index in range(8)]
    assert metrics["verification/count"] == metrics["verification/label_changes"] == IMAGES
    assert messages == [
        "WARNING: The saved model, loaded in a fresh process, has another answer than the "
        "trained model for 8 of 8 training images. Their outputs differ by up to "
        f"{metrics['verification/max_difference']:.2g}."
    ]


def test_a_saved_model_that_cannot_be_loaded_is_a_warning(
    expected: Predictions, splits: Splits, tmp_path: Path, messages: list[str]
) -> None:
    metrics = verified(expected, splits, tmp_path / "absent", tmp_path)
    assert metrics == {}
    assert messages == ["WARNING: The saved model cannot be used in a fresh process: it is broken"]


def test_photographs_are_predicted_from_their_own_files(photographs: Path, tmp_path: Path) -> None:
    recipe = Recipe.model_validate(
        {
            "data": {"source": "image_folder", "path": photographs, "image_size": [8, 8]},
            "model": {"architecture": "mlp"},
        }
    )
    process: Any = InThisProcess()
    splits = recipe.data.load()
    ModelVerification(process, tmp_path).ask(recipe, splits, tmp_path / "absent", None)
    assert len(process.files) == IMAGES
    assert {path.parent for path in process.files} == {
        photographs / "val" / "ants",
        photographs / "val" / "bees",
    }
    assert not list(tmp_path.glob("*.png"))


def test_without_verification_there_are_no_metrics(
    expected: Predictions, splits: Splits, tmp_path: Path, messages: list[str]
) -> None:
    verification = ModelVerification(None, tmp_path)
    verification.ask(RECIPE, splits, tmp_path, None)
    assert verification.metrics(classification, splits, {"val": expected}, NO_TRAINER) == {}
    assert messages == []
