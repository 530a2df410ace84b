"""What a run adds to its model, so that the model can say that it does not know."""

from __future__ import annotations

import contextlib
import csv
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli import main
from pipeline.data.splits import DuplicateImage, Split, Splits, splits_from_arrays
from pipeline.evaluation.predictions import Predictions
from pipeline.export.exporter import export_model
from pipeline.inference.classifier import load_classifier
from pipeline.inference.model_interface import load_interface
from pipeline.recipe.loader import load_recipe
from pipeline.stages.calibrate_model import calibrate_model
from pipeline.tracking.lookup import files_of, find_model
from pipeline.tracking.store import open_store
from pipeline.tracking.stored_model import DATA
from pipeline.workflows.run_result import RunResult
from pipeline.workflows.single_run import run


def random_features(split: Split, indices: np.ndarray, name: str) -> np.ndarray:
    return np.random.default_rng(len(split)).random((len(indices), 16))


def make_splits(train: int, validation: int, test: int) -> Splits:
    total = train + validation + test
    numbers = np.arange(total)
    return splits_from_arrays(
        np.zeros((total, 4, 4, 1), np.uint8),
        numbers % 2,
        image_size=(4, 4),
        class_names=("ants", "bees"),
        parts=np.split(numbers, (train, train + validation)),
    )


def predictions_of(split: Split) -> Predictions:
    bees = np.random.default_rng(0).random(len(split))
    return Predictions(
        ("ants", "bees"),
        split.names,
        split.hex_digests(),
        split.labels,
        np.stack([1 - bees, bees], axis=1),
    )


@pytest.mark.parametrize(
    ("validation", "test", "images"), [(20, 30, 30), (20, 0, 20), (30, 10, 30), (10, 10, None)]
)
def test_the_test_split_sets_the_threshold_of_the_distance_or_else_the_validation_split(
    validation: int, test: int, images: int | None
) -> None:
    splits = make_splits(40, validation, test)
    predictions = {name: predictions_of(split) for name, split in splits.named().items()}
    calibration = calibrate_model(splits, random_features, predictions)
    assert (calibration.distance.images if calibration.distance else None) == images
    assert (calibration.references is None) == (images is None)


def test_validation_images_do_not_calibrate_prediction_sets() -> None:
    splits = make_splits(40, 30, 0)
    predictions = {"val": predictions_of(splits.named()["val"])}
    assert calibrate_model(splits, random_features, predictions).conformal is None


def test_test_images_with_a_copy_in_another_split_do_not_calibrate() -> None:
    splits = make_splits(40, 30, 30)
    copies = tuple(DuplicateImage(name, 3, "3", 1, "", 0) for name in ("train", "test"))
    predictions = {"test": predictions_of(splits.named()["test"])}
    leaky = replace(splits, duplicates=(copies,))
    calibration = calibrate_model(leaky, random_features, predictions)
    assert calibration.conformal
    assert calibration.distance
    assert (calibration.conformal.images, calibration.distance.images) == (29, 29)


def test_the_references_of_many_images_are_as_many_of_each_class() -> None:
    splits, drawn = make_splits(5000, 30, 0), {}

    def spy(split: Split, indices: np.ndarray, name: str) -> np.ndarray:
        drawn[name] = indices
        return random_features(split, indices, name)

    calibrate_model(splits, spy, {})
    assert len(drawn["train"]) == 2000
    assert splits.train.labels[drawn["train"]].mean() == 0.5


@pytest.fixture(scope="module")
def insects(
    tmp_path_factory: pytest.TempPathFactory, photographs: Path, weights: Path
) -> RunResult:
    """A run on a third of the photographs, whose validation directory is the test split."""
    directory = tmp_path_factory.mktemp("insects")
    for path in sorted(photographs.rglob("*.jpg"))[::3]:
        copy = directory / "photographs" / path.relative_to(photographs)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    (directory / "photographs" / "val").rename(directory / "photographs" / "test")
    recipe = directory / "insects.yaml"
    recipe.write_text(
        "data: {source: image_folder, path: photographs, image_size: [128, 128], validation: 0.2}\n"
        "model: {architecture: transfer, base: MobileNetV2, weights: "
        f"{weights / 'mobilenet_v2_imagenet_notop.weights.h5'}}}\n"
        "optimizer: {learning_rate: 1e-2}\n"
        "training: {epochs: 5}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return run(load_recipe(recipe))


def directory_of(result: RunResult) -> Path:
    """Return the directory that a run was started in."""
    assert result.report
    return next(path.parent for path in result.report.parents if path.name == "mlruns")


@contextlib.contextmanager
def model_files(result: RunResult) -> Iterator[Path]:
    """Return the directory of the files of a run's model."""
    store = open_store(result.tracking_uri)
    with files_of(store, find_model(store, result.run_id)) as directory:
        yield directory / DATA


def predicted(
    result: RunResult, images: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[list[float], list[bool]]:
    """Return the distances of images, and whether the model of a run says that they are unknown."""
    arguments = ["predict", result.run_id, str(images), "--uri", result.tracking_uri]
    assert main(arguments) == 0
    header, *rows = csv.reader(capsys.readouterr().out.splitlines())
    assert header[-3:] == ["distance", "unknown", "error"]
    return [float(row[-3]) for row in rows], [row[-2] == "true" for row in rows]


def test_pictures_of_digits_are_of_none_of_the_classes_and_photographs_of_them_are(
    insects: RunResult,
    photographs: Path,
    digit_files: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, unknown = predicted(insects, digit_files, capsys)
    assert np.mean(unknown) >= 0.9
    held_out = photographs / "val"  # a third of them set the threshold
    _, unknown = predicted(insects, held_out, capsys)
    assert 0 < np.mean(unknown) <= 0.15


def test_the_threshold_is_a_quantile_of_the_distances_that_are_predicted(
    insects: RunResult, capsys: pytest.CaptureFixture[str]
) -> None:
    distances, _ = predicted(insects, directory_of(insects) / "photographs" / "test", capsys)
    with model_files(insects) as files:
        config = load_interface(files).distance
    assert config
    assert config.images == len(distances) == 51
    assert sorted(distances)[49] == pytest.approx(config.threshold, abs=1e-4)  # ceil(52 · 0.95)


def test_the_model_and_the_report_have_the_calibration(insects: RunResult) -> None:
    assert insects.report
    html = insects.report.read_text()
    assert "<h3>Prediction sets</h3>" in html
    assert "The test split calibrates the sets" in html
    with model_files(insects) as files:
        names = {path.name for path in files.iterdir()}
    assert {"model.keras", "interface.json", "reference_features.npy"} <= names


def test_an_exported_model_has_prediction_sets_and_measures_no_distance(
    insects: RunResult, tmp_path: Path
) -> None:
    with model_files(insects) as files:
        classifier = load_classifier(files)
    assert classifier.interface.distance
    export_model(classifier, "keras", tmp_path, np.zeros((1, 128, 128, 3), np.uint8))
    exported = load_classifier(tmp_path)
    assert exported.interface.conformal == classifier.interface.conformal
    assert exported.interface.distance is None
