"""Kept features on real photographs: what determines them, and whether they can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient

from pipeline.evaluation import grad_cam
from pipeline.features import extraction, feature_cache, precision_guard
from pipeline.inference import classifier as classifiers
from pipeline.inference.prediction import predict
from pipeline.recipe.loader import load_recipe
from pipeline.stages.train_model import train_model
from pipeline.tracking.lookup import files_of, find_model
from pipeline.tracking.mlflow_model import DATA
from pipeline.tracking.store import open_store
from pipeline.workflows.single_run import RunResult, run

RECIPE = """\
data:
  source: image_folder
  path: photographs
  image_size: [96, 96]
  batch_size: 16
  augmentation: [{{random_flip: {{}}}}]
model: {{architecture: transfer, base: {base}}}
regularization: {{initializer: zeros}}
optimizer: {{learning_rate: 3e-3}}
training: {{epochs: 15, views: 3}}
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(autouse=True)
def cache(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the features for all tests of this file, which look at the same photographs."""
    monkeypatch.setenv("PIPELINE_CACHE", str(shared))


@pytest.fixture
def recipe(photographs: Path, weights: Path, in_empty_folder: Path) -> Path:
    """A hundred and forty photographs, and ResNet-18 to look at them."""
    for split, count in (("train", 50), ("val", 20)):
        for name in ("ants", "bees"):
            folder = Path("photographs", split, name)
            folder.mkdir(parents=True)
            for file in sorted((photographs / split / name).glob("*.jpg"))[:count]:
                (folder / file.name).write_bytes(file.read_bytes())
    path = Path("recipe.yaml")
    path.write_text(RECIPE.format(base=weights / "resnet18_imagenet.keras"))
    return path


def run_of(recipe: Path, *changes: str) -> tuple[RunResult, list[str]]:
    said: list[str] = []
    return run(load_recipe(recipe, changes), say=said.append), said


def test_the_second_run_starts_from_the_first_one_s_features(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_CACHE", str(tmp_path / "cache"))
    first, said = run_of(recipe)
    assert sum(message.startswith("Sent 100 train images in 3 views, ") for message in said) == 1
    second, said = run_of(recipe)
    assert "Features of 100 train images in 3 views were kept from an earlier run" in said
    assert "Features of 40 val images in 1 view were kept from an earlier run" in said
    assert second.features == {**(first.features or {}), "images_per_second": 0.0}
    speed = "features/images_per_second"
    assert {**first.metrics, speed: 0.0} == second.metrics
    assert first.metrics["val_accuracy"] > 0.7


def test_validation_by_epoch_is_that_of_the_model_that_is_logged(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision_guard, "processor_has_bfloat16", lambda: True)
    result, _ = run_of(recipe)
    assert (result.features or {})["precision"] == "bfloat16"
    client = MlflowClient(result.tracking_uri)
    history = client.get_metric_history(result.run_id, "epoch/val_loss")
    (loss,) = [row.value for row in history if row.step == result.best_epoch]
    assert result.metrics["val_log_loss"] == pytest.approx(loss, abs=1e-6)


def test_the_head_can_change_without_new_features(recipe: Path) -> None:
    def features() -> set[str]:  # but for the maps of the images that this head is shown with
        return {entry.key for entry in feature_cache.list_entries() if " maps," not in entry.label}

    run_of(recipe)
    before = features()
    run_of(recipe, "model.hidden=[8]", "regularization.dropout=0.5", "training.epochs=4")
    assert features() == before


@pytest.mark.parametrize("start", [None, 6])
def test_the_metrics_are_those_of_the_logged_model_on_the_photographs(
    recipe: Path, start: int | None
) -> None:
    fine_tune = f"{{from: {start}, epochs: 1, learning_rate: 1e-3}}" if start else "null"
    result, _ = run_of(recipe, "training.epochs=3", f"training.fine_tune={fine_tune}")
    store = open_store(result.tracking_uri)
    with files_of(store, find_model(store, result.run_id)) as folder:
        classifier = classifiers.load_classifier(folder / DATA)
    files = sorted(Path("photographs/val").rglob("*.jpg"))
    answers = list(predict(classifier, files, classifier.interface.read))
    true = [classifier.interface.class_names.index(path.parent.name) for path in files]
    found = np.array([answer.probabilities for answer in answers])
    log_loss = -np.mean(np.log(found[range(len(files)), true]))
    assert np.mean(found.argmax(axis=1) == true) == result.metrics["val_accuracy"]
    assert log_loss == pytest.approx(result.metrics["val_log_loss"], abs=1e-4)


def test_features_that_are_too_many_for_the_memory_are_read_from_their_files(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speed = "features/images_per_second"
    held, _ = run_of(recipe, "training.epochs=3")
    monkeypatch.setattr(extraction, "_MOST_IN_MEMORY", 0)
    read, _ = run_of(recipe, "training.epochs=3")
    assert {**read.metrics, speed: 0.0} == {**held.metrics, speed: 0.0}


def test_without_augmentation_there_is_one_view(recipe: Path) -> None:
    _, said = run_of(recipe, "training.epochs=1", "data.augmentation=[]")
    assert any(message.startswith("Sent 100 train images in 1 view ") for message in said)


def test_labels_that_augmentation_mixes_are_kept_with_the_features(recipe: Path) -> None:
    result, _ = run_of(recipe, "data.augmentation=[{mix_up: {}}]")
    assert result.metrics["val_accuracy"] > 0.6


def test_one_sigmoid_unit_learns_on_features_too(recipe: Path) -> None:
    result, _ = run_of(recipe, "training.loss=binary_cross_entropy")
    assert result.metrics["val_accuracy"] > 0.7
    assert result.metrics["features/disagreements"] <= 1


def test_fine_tuning_starts_from_kept_activations(recipe: Path) -> None:
    fine_tune = "training.fine_tune={from: 6, epochs: 2, learning_rate: 1e-4}"
    result, said = run_of(recipe, fine_tune)
    assert [message for message in said if message.startswith("The activations")] == []
    assert result.epochs == 17
    assert result.metrics["features/disagreements"] <= 1
    assert result.metrics["val_accuracy"] > 0.7


def test_activations_that_do_not_fit_are_computed_in_every_epoch(recipe: Path) -> None:
    fine_tune = "training.fine_tune={from: 9, epochs: 1, learning_rate: 1e-4}"
    result, said = run_of(recipe, fine_tune, "runtime.cache_gb=0.001")
    assert any(
        message.startswith("The activations at '9' take 0.0 GiB, more than the 0.0 GiB")
        for message in said
    )
    assert result.epochs == 16


def test_a_shortcut_that_disagrees_is_said_loudly(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.features.feature_trainer import FeatureTrainer

    def disagree(self: Any, chosen: Any) -> int:
        return 2

    monkeypatch.setattr(FeatureTrainer, "disagreements", disagree)
    result, said = run_of(recipe, "training.epochs=1")
    assert result.metrics["features/disagreements"] == 2
    (warning,) = (line for line in said if line.startswith("WARNING: the model trained on "))
    assert "gives 2 of 40 validation images another label than the whole model does." in warning


def test_the_maps_of_some_images_are_what_the_stock_base_gives(recipe: Path) -> None:
    chosen = load_recipe(recipe, ("training.epochs=1", "data.augmentation=[]")).recipe
    splits = chosen.data.load()
    trained = train_model(chosen, splits, on_epoch=lambda *_: None)
    parts = grad_cam.parts_of(trained.model)
    assert trained.fitting is not None
    assert parts is not None
    numbers = np.array([3, 1])
    maps = trained.fitting.feature_maps(splits.validation, numbers)
    images = splits.validation.images.read(numbers)
    np.testing.assert_allclose(maps, parts.features(images), rtol=1e-3, atol=1e-3)
