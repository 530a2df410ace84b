"""Monitored metrics are those of the evaluation."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.evaluation.class_metrics import class_metrics
from pipeline.evaluation.metrics import classification_metrics
from pipeline.metric_direction import metric_direction
from pipeline.recipe.loader import load_recipe
from pipeline.stages.epoch_evaluation import epoch_evaluation
from pipeline.stages.evaluate_splits import evaluate_splits
from pipeline.stages.train_model import compute_head_inputs, train_model
from pipeline.tasks import classification

DIGITS = """\
data: {source: digits, batch_size: 64}
model: {architecture: mlp, hidden: [16]}
optimizer: {name: sgd, learning_rate: 0.1}
training: {epochs: 4, top_k: 3}
"""
PHOTOGRAPHS = """\
data: {{source: image_folder, path: '{photographs}', image_size: [32, 32]}}
model: {{architecture: transfer, base: base.keras}}
optimizer: {{learning_rate: 0.1}}
training: {{epochs: 3, loss: binary_cross_entropy}}
"""
NAMES = [
    *("accuracy", "balanced_accuracy", "log_loss", "ece", "roc_auc"),
    *(
        f"{metric}_{mean}"
        for metric in ("precision", "recall", "f1")
        for mean in ("macro", "weighted")
    ),
]


def test_every_metric_by_epoch_is_that_of_the_evaluation(in_empty_folder: Path) -> None:
    Path("recipe.yaml").write_text(DIGITS)
    names = [f"val_{name}" for name in (*NAMES, "top_3_accuracy", "f1/7", "recall/3")]
    recipe = load_recipe(Path("recipe.yaml")).recipe
    splits = recipe.data.load()
    trained = train_model(
        recipe, splits, on_epoch=lambda *_: None, epoch_metrics=names, show_progress=False
    )
    row = trained.history.rows[(trained.history.best_epoch or 0) - 1]
    evaluation = evaluate_splits(recipe, splits, trained)
    predictions = evaluation.predictions["val"]
    of_classes = class_metrics(predictions.labels, predictions.predicted, splits.class_names)
    evaluated = evaluation.metrics | {
        "val_f1/7": of_classes.f1[7],
        "val_recall/3": of_classes.recall[3],
    }
    assert {name: row[name] for name in names} == pytest.approx(
        {name: evaluated[name] for name in names}, rel=1e-5
    )


def test_so_it_is_with_a_head_on_cached_features(
    few_photographs: Path, in_empty_folder: Path
) -> None:
    convolution = keras.layers.Conv2D(16, 5, strides=4, activation="relu")
    keras.Sequential([keras.Input((32, 32, 3)), convolution]).save("base.keras")
    Path("recipe.yaml").write_text(PHOTOGRAPHS.format(photographs=few_photographs))
    recipe = load_recipe(Path("recipe.yaml")).recipe
    splits = recipe.data.load()
    names = [f"val_{name}" for name in NAMES]
    rows = []
    for inputs in (None, compute_head_inputs(recipe, splits)):
        trained = train_model(
            recipe,
            splits,
            on_epoch=lambda *_: None,
            epoch_metrics=names,
            show_progress=False,
            head_inputs=inputs,
        )
        rows.append(trained.history.rows[(trained.history.best_epoch or 0) - 1])
        assert splits.validation
        metrics = classification_metrics(
            splits.validation.labels,
            trained.trainer.predict(splits.validation, "val"),
        )
        expected = {f"val_{name}": metrics[name] for name in NAMES}
        assert {name: rows[-1][name] for name in names} == pytest.approx(expected, rel=1e-5)
    assert rows[0] == rows[1]


@pytest.mark.parametrize("monitor", ["val_ece", "val_f1_macro"])
def test_the_best_epoch_is_that_of_the_monitored_metric(
    monitor: str, in_empty_folder: Path
) -> None:
    Path("recipe.yaml").write_text(DIGITS)
    stopping = f"training.early_stopping={{monitor: {monitor}, patience: 1}}"
    recipe = load_recipe(Path("recipe.yaml"), (stopping, "training.epochs=12")).recipe
    history = train_model(
        recipe, recipe.data.load(), on_epoch=lambda *_: None, show_progress=False
    ).history
    values = [row[monitor] for row in history.rows]
    best = min(values) if metric_direction(monitor) == "min" else max(values)
    assert values[(history.best_epoch or 0) - 1] == best
    assert len(values) < 12


def test_metrics_of_keras_are_not_computed_again(in_empty_folder: Path) -> None:
    Path("recipe.yaml").write_text(DIGITS)
    splits = load_recipe(Path("recipe.yaml")).recipe.data.load()
    assert epoch_evaluation(classification, splits, ("val_accuracy", "val_log_loss")) is None
    evaluate = epoch_evaluation(classification, splits, ("val_accuracy", "val_ece"))
    assert evaluate
    assert splits.validation
    uniform = np.full((len(splits.validation), 10), 0.1, np.float32)
    assert list(evaluate(uniform)) == ["val_ece"]


def test_outputs_that_are_not_finite_have_no_metric(in_empty_folder: Path) -> None:
    Path("recipe.yaml").write_text(DIGITS)
    splits = load_recipe(Path("recipe.yaml")).recipe.data.load()
    evaluate = epoch_evaluation(classification, splits, ("val_roc_auc",))
    assert evaluate
    assert splits.validation
    outputs = np.full((len(splits.validation), 10), np.nan, np.float32)
    assert np.isnan(evaluate(outputs)["val_roc_auc"])
