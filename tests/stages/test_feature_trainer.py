"""Training on cached features of real photographs, against training on pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline import array_cache
from pipeline.data.splits import Splits
from pipeline.engines.engine import ENGINES
from pipeline.errors import ModelError, TrainingError
from pipeline.evaluation import grad_cam
from pipeline.features import engine_choice, extraction
from pipeline.features.extraction import Features
from pipeline.inference import classifier as classifiers
from pipeline.inference.batch_prediction import predict
from pipeline.inference.fresh_process import FreshProcess
from pipeline.models import transfer
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.loader import load_recipe
from pipeline.stages import feature_trainer, graph_outputs, verify_model
from pipeline.stages.evaluate_splits import evaluate_splits
from pipeline.stages.train_model import TrainedModel, train_model
from pipeline.tracking.lookup import files_of, find_model
from pipeline.tracking.store import open_store
from pipeline.tracking.stored_model import DATA
from pipeline.training.checkpoints import Checkpoints
from pipeline.workflows.run_result import RunResult
from pipeline.workflows.single_run import run

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
training: {{epochs: 8, views: 3}}
"""


@pytest.fixture(scope="module")
def directory(
    tmp_path_factory: pytest.TempPathFactory, photographs: Path, weights: Path
) -> Iterator[Path]:
    """A recipe and 84 photographs, with one cache for all tests of this file.

    Features are computed in bfloat16 also where it is slow, if an engine can do it at all.
    """
    directory = tmp_path_factory.mktemp("features")
    for split, count in (("train", 30), ("val", 12)):
        for name in ("ants", "bees"):
            target = directory / "photographs" / split / name
            target.mkdir(parents=True)
            for file in sorted((photographs / split / name).glob("*.jpg"))[:count]:
                (target / file.name).write_bytes(file.read_bytes())
    text = RECIPE.format(base=weights / "resnet18_imagenet.keras")
    (directory / "recipe.yaml").write_text(text)
    small = [keras.layers.Conv2D(8, 5, strides=4, activation="relu") for _ in range(2)]
    keras.Sequential([keras.Input((96, 96, 3)), *small]).save(directory / "small.keras")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr(engine_choice, "has_bfloat16", lambda: True)
        yield directory


@pytest.fixture(scope="module", autouse=True)
def shared_cache(directory: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIPELINE_CACHE", str(directory / "cache"))
        yield


@pytest.fixture(autouse=True)
def cache(shared_cache: None) -> None:
    """No cache of its own for each test."""


@pytest.fixture(scope="module")
def splits(directory: Path) -> Splits:
    return recipe_with().data.load()


# A base that is built at once, where nothing depends on what it has learned.
SMALL = ("model.base=small.keras", "training.epochs=1")


def recipe_with(*overrides: str) -> Recipe:
    return load_recipe(Path("recipe.yaml"), overrides).recipe


def trained_with(splits: Splits, *overrides: str) -> TrainedModel:
    recipe = recipe_with(*overrides)
    return train_model(recipe, splits, on_epoch=lambda *_: None, show_progress=False)


def metrics_of(trained: TrainedModel, splits: Splits, *overrides: str) -> dict[str, float]:
    return evaluate_splits(recipe_with(*overrides), splits, trained).metrics


def features_of(trained: TrainedModel) -> Features:
    """Return the features of the training images, from the cache."""
    assert isinstance(trained.trainer, feature_trainer.FeatureTrainer)
    return trained.trainer.head_inputs().train


@pytest.fixture(scope="module")
def baseline(splits: Splits) -> TrainedModel:
    """The model of the recipe as it is."""
    return trained_with(splits)


@pytest.fixture(scope="module")
def unaugmented(splits: Splits) -> TrainedModel:
    return trained_with(splits, "data.augmentation=[]", "training.epochs=1")


def test_learns(baseline: TrainedModel, splits: Splits) -> None:
    assert metrics_of(baseline, splits)["val_accuracy"] > 0.7
    assert baseline.trainer.feature_facts()["images_per_second"] > 0


def test_a_second_run_uses_the_features_of_the_first(
    baseline: TrainedModel, splits: Splits, messages: list[str]
) -> None:
    second = trained_with(splits)
    (used,) = (line for line in messages if line.startswith("Using cached features of 60 train "))
    assert used.startswith("Using cached features of 60 train images in 3 views (")
    assert not any(line.startswith("Computed ") for line in messages)
    facts = {**baseline.trainer.feature_facts(), "images_per_second": 0.0}
    assert second.trainer.feature_facts() == facts
    speed = "features/images_per_second"
    assert metrics_of(second, splits) == {**metrics_of(baseline, splits), speed: 0.0}


def test_validation_by_epoch_is_that_of_the_full_precision_model(
    baseline: TrainedModel, splits: Splits
) -> None:
    best = baseline.history.rows[(baseline.history.best_epoch or 0) - 1]
    log_loss = metrics_of(baseline, splits)["val_log_loss"]
    assert log_loss == pytest.approx(best["val_log_loss"], abs=1e-6)
    images = splits.named()["val"].images.read(np.arange(len(splits.named()["val"])))
    np.testing.assert_allclose(
        baseline.trainer.predict(splits.named()["val"], "val"),
        baseline.model(images, training=False),
        atol=1e-4,
    )


def test_the_head_can_change_without_new_features(baseline: TrainedModel, splits: Splits) -> None:
    before = {entry.key for entry in array_cache.list_entries()}
    trained_with(
        splits,
        "model.hidden=[8]",
        "regularization={dropout: 0.5}",
        "training.epochs=4",
    )
    assert {entry.key for entry in array_cache.list_entries()} == before


def test_features_that_do_not_fit_in_memory_are_read_from_files(
    baseline: TrainedModel, splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "_MAX_BYTES_IN_MEMORY", 0)
    assert trained_with(splits).history == baseline.history


def test_there_is_one_view_without_augmentation(
    unaugmented: TrainedModel, splits: Splits, messages: list[str]
) -> None:
    assert features_of(unaugmented).views == 1
    trained_with(splits, "data.augmentation=[]", "training.epochs=1")
    assert "Using cached features of 60 train images" in messages


def test_mixed_labels_are_cached_with_the_features(splits: Splits) -> None:
    changes = ("data.augmentation=[{mix_up: {alpha: 1.0}}]", "training.views=1")
    trained = trained_with(splits, *changes)
    weights = features_of(trained).labels.weights
    assert ((weights > 0.1) & (weights < 0.9)).mean() > 0.2
    assert metrics_of(trained, splits, *changes)["val_accuracy"] > 0.6


def test_one_sigmoid_unit_learns_on_features_too(splits: Splits) -> None:
    loss = "training.loss=binary_cross_entropy"
    metrics = metrics_of(trained_with(splits, loss), splits, loss)
    assert metrics["val_accuracy"] > 0.7


@pytest.mark.parametrize(
    "fine_tune",
    [
        pytest.param("null", id="head"),
        pytest.param(
            "{from: 6, epochs: 1, learning_rate: 1e-4}", id="fine-tuned", marks=pytest.mark.slow
        ),
    ],
)
def test_class_weights_hold_on_features_too(
    baseline: TrainedModel, splits: Splits, fine_tune: str
) -> None:
    weighted = trained_with(
        splits,
        "training.class_weight={ants: 50}",
        "training.early_stopping={monitor: val_balanced_accuracy}",
        f"training.fine_tune={fine_tune}",
    )
    predicted = [
        trained.trainer.predict(splits.named()["val"], "val").argmax(axis=1)
        for trained in (baseline, weighted)
    ]
    assert np.mean(predicted[1] == 0) > np.mean(predicted[0] == 0)


@pytest.mark.slow
def test_fine_tuning_on_cached_activations_has_the_metrics_of_the_logged_model(
    directory: Path, messages: list[str]
) -> None:
    fine_tune = "training.fine_tune={from: 6, epochs: 2, learning_rate: 1e-4}"
    result = run(load_recipe(Path("recipe.yaml"), (fine_tune,)))
    assert "Fine-tuning from layer '6' (2,359,296 more parameters)" in messages
    assert not any(line.startswith("Fine-tuning runs ") for line in messages)
    assert result.epochs == 10
    assert result.metrics["val_accuracy"] > 0.7
    check_metrics_of_logged_model(result)


def test_fine_tuning_has_an_optimizer_a_warmup_and_batch_normalization_of_its_own(
    splits: Splits,
) -> None:
    optimizer = "{name: sgd, momentum: 0.9, learning_rate: 1e-2, schedule: {constant: {warmup: 1}}}"
    fine_tune = f"{{from: 2, epochs: 2, optimizer: {optimizer}, train_batch_norm: true}}"
    layers = [keras.layers.Conv2D(8, 5, strides=4), keras.layers.BatchNormalization(name="norm")]
    keras.Sequential([keras.Input((96, 96, 3)), *layers]).save("normalized.keras")
    changes = (
        "model.base=normalized.keras",
        "training.epochs=1",
        f"training.fine_tune={fine_tune}",
    )
    trained = trained_with(splits, *changes)
    rates = [row["learning_rate"] for row in trained.history.rows]
    assert rates == pytest.approx([3e-3, 1e-2 / 5, 1e-2])  # four steps in an epoch
    norm = transfer.base_of(trained.model).get_layer("norm")
    assert np.any(np.asarray(norm.moving_mean) != 0)


def check_metrics_of_logged_model(result: RunResult) -> None:
    """Check the validation metrics and the threshold of the distance against Keras's answers."""
    store = open_store(result.tracking_uri)
    with files_of(store, find_model(store, result.run_id)) as folder:
        classifier = classifiers.load_classifier(folder / DATA)
    files = sorted(Path("photographs/val").rglob("*.jpg"))
    answers = list(predict(classifier, files, classifier.interface.read))
    labels = [classifier.interface.class_names.index(path.parent.name) for path in files]
    probabilities = np.array([answer.outputs for answer in answers])
    log_loss = -np.mean(np.log(probabilities[range(len(files)), labels]))
    assert np.mean(probabilities.argmax(axis=1) == labels) == result.metrics["val_accuracy"]
    assert log_loss == pytest.approx(result.metrics["val_log_loss"], abs=1e-4)
    # The furthest of 24 held-out images sets the threshold, by the features after fine-tuning.
    assert classifier.interface.distance
    furthest = max(answer.distance or 0 for answer in answers)
    assert furthest == pytest.approx(classifier.interface.distance.threshold, abs=1e-3)


def test_fine_tuning_uses_pixels_if_activations_do_not_fit_also_when_resumed(
    splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, messages: list[str]
) -> None:
    monkeypatch.setenv("PIPELINE_CACHE", str(tmp_path / "cache"))  # a small one keeps little
    changes = (*SMALL, "training.fine_tune={from: 1, epochs: 2, learning_rate: 1e-4}")

    def train(cache_gb: float, on_epoch: Callable[[int], None]) -> TrainedModel:
        return train_model(
            recipe_with(*changes, f"runtime.cache_gb={cache_gb}"),
            splits,
            on_epoch=lambda epoch, *_: on_epoch(epoch),
            checkpoints=Checkpoints(tmp_path / "checkpoints"),
            show_progress=False,
        )

    def interrupt(epoch: int) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(0.0001, interrupt)
    assert (
        "Fine-tuning runs the whole base in every epoch: cached activations at layer '1' would "
        "need 0.0 GiB, but only 0.0 GiB are available. To cache them, raise runtime.cache_gb or "
        "free disk space."
    ) in messages
    trained = train(20, lambda epoch: None)
    assert sum(line.startswith("Fine-tuning runs ") for line in messages) == 1
    assert isinstance(trained.trainer, feature_trainer.FeatureTrainer)
    assert trained.trainer._features is None
    assert trained.history.phases == (0, 1)
    assert len(trained.history.rows) == 3
    best = trained.history.rows[(trained.history.best_epoch or 0) - 1]
    metrics = metrics_of(trained, splits, *changes)
    assert metrics["val_log_loss"] == pytest.approx(best["val_log_loss"], abs=1e-4)


@pytest.mark.slow
def test_fine_tuning_on_pixels_is_evaluated_by_the_graph_of_the_logged_model(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So small a cache would lose the features of the other tests.
    monkeypatch.setenv("PIPELINE_CACHE", str(tmp_path))
    monkeypatch.setattr(verify_model, "FreshProcess", FreshProcess)
    monkeypatch.setattr(graph_outputs, "_MIN_MULTIPLICATIONS", 0)
    fine_tune = "training.fine_tune={from: 6, epochs: 2, learning_rate: 1e-4}"
    changes = (fine_tune, "runtime.cache_gb=0.001")
    result = run(load_recipe(Path("recipe.yaml"), changes))
    assert result.evaluation_engine == "openvino"
    assert result.metrics["graph/compared"] == 24
    assert result.metrics["graph/max_difference"] < 1e-4
    assert result.metrics["verification/max_difference"] < 1e-4
    check_metrics_of_logged_model(result)


def test_a_misspelt_layer_to_fine_tune_is_found_before_features_are_computed(
    directory: Path, splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_CACHE", str(directory / "untouched"))
    with pytest.raises(ModelError) as caught:
        trained_with(splits, "training.fine_tune.from=layer4_1_conv3")
    assert "has no layer or stage 'layer4_1_conv3'. Did you mean 'layer4_1_conv2'? " in str(
        caught.value
    )
    assert not list((directory / "untouched").glob("*"))


def test_feature_maps_are_those_of_the_full_precision_base(
    unaugmented: TrainedModel, splits: Splits
) -> None:
    parts = grad_cam.split_for_grad_cam(unaugmented.model)
    assert parts is not None
    indices = np.array([3, 1])
    maps = unaugmented.trainer.feature_maps(splits.named()["val"], indices)
    assert maps is not None
    images = splits.named()["val"].images.read(indices)
    np.testing.assert_allclose(maps, parts.features(images), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "fine_tune",
    [
        pytest.param("null", id="head"),
        pytest.param(
            "{from: 6, epochs: 1, learning_rate: 1e-4}", id="fine-tuned", marks=pytest.mark.slow
        ),
    ],
)
def test_without_validation_only_training_images_have_features(
    baseline: TrainedModel, splits: Splits, messages: list[str], fine_tune: str
) -> None:
    trained_on = dataclasses.replace(splits, validation=None, test=None)
    changes = (f"training.fine_tune={fine_tune}", "data.validation=0")
    trained = trained_with(trained_on, *changes)
    assert any(line.startswith("Using cached features of 60 train ") for line in messages)
    assert not any(" val images" in line for line in messages)
    assert trained.history.best_epoch is None
    assert len(trained.history.rows) == (8 if fine_tune == "null" else 9)
    assert trained.history.rows[-1]["accuracy"] > 0.7
    assert set(metrics_of(trained, trained_on, *changes)) == {
        "features/images_per_second",
        "features/disagreements",
        "features/compared",
    }
    some = splits.train.subset(np.arange(0, 60, 10))
    np.testing.assert_allclose(
        trained.trainer.predict(some, "train"),
        trained.model(some.images.read(np.arange(6)), training=False),
        atol=1e-4,
    )


@pytest.mark.parametrize("engine", ["tensorflow", "openvino"])
def test_the_engine_of_the_recipe_computes_the_training_features(
    splits: Splits, engine: str
) -> None:
    changes = (*SMALL, f"runtime.engine={engine}", "runtime.precision=float32")
    facts = trained_with(splits, *changes).trainer.feature_facts()
    exact = "openvino" if engine == "openvino" else "keras"
    assert (facts["engine"], facts["precision"], facts["exact_engine"]) == (
        engine,
        "float32",
        exact,
    )


def test_an_engine_that_is_not_installed_is_an_error(
    splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = dataclasses.replace(ENGINES["openvino"], packages={"no_such_module": "openvino"})
    monkeypatch.setitem(ENGINES, "openvino", without)
    with pytest.raises(TrainingError) as caught:
        trained_with(splits, *SMALL, "runtime.engine=openvino")
    assert str(caught.value) == (
        "runtime.engine: openvino requires packages that are not installed: openvino. Install "
        "them, or leave runtime.engine at auto."
    )
