"""Evaluate a trained model on the validation and test splits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.splits import Split, Splits
from pipeline.engines.engine import EngineName, Variant
from pipeline.evaluation.epoch_choice import near_best_epochs
from pipeline.evaluation.predictions import Predictions
from pipeline.inference.graph_parity import GraphParity
from pipeline.recipe.grammar import Recipe
from pipeline.stages.graph_outputs import GraphOutputs, compare_graph, graph_pays
from pipeline.stages.leakage_effect import measure_leakage_effect
from pipeline.stages.train_model import TrainedModel


@dataclass(frozen=True)
class Evaluation:
    """Metrics and predictions of a model.

    Attributes:
        metrics: by name, `val_*` and `test_*` of the splits that exist.
        predictions: by the split's prefix in the names of metrics.
        engine: what computed the predictions.
        parity: how far it is from Keras, where both computed some images.
        thresholds: of the classes, as `validation_thresholds` returned them.
    """

    metrics: dict[str, float]
    predictions: dict[str, Predictions]
    engine: EngineName
    parity: GraphParity | None
    thresholds: np.ndarray | None

    @property
    def computation(self) -> str:
        """A phrase on what computed the predictions, for people."""
        described = str(Variant(self.engine, "float32"))
        return f"{described}: {self.parity}" if self.parity else described


def metrics_of_images(
    recipe: Recipe,
    labels: np.ndarray,
    outputs: np.ndarray,
    thresholds: np.ndarray | None,
    class_names: Sequence[str],
    names: Collection[str] = (),
) -> dict[str, float]:
    """Return every metric by name, and those of one class that are asked for.

    Args:
        recipe: of the model.
        labels: of the images.
        outputs: as `Task.outputs` returns them.
        thresholds: of the classes, as `validation_thresholds` returns them.
        class_names: in the order of the labels.
        names: of metrics, which start with `val_`, such as `val_recall/ants`.
    """
    task = recipe.task
    metrics = task.metrics(labels, outputs, thresholds, top_k=recipe.training.top_k)
    for name in (metric.removeprefix("val_") for metric in names if "/" in metric):
        of_class = task.metric(name, labels, outputs, thresholds, class_names)
        metrics |= {} if of_class is None else {name: of_class}
    return metrics


def validation_thresholds(
    splits: Splits, predict: Callable[[Split, str], np.ndarray]
) -> np.ndarray | None:
    """Return the thresholds of the classes that are best on the validation images.

    Args:
        splits: the images.
        predict: as `Trainer.predict`, of the model's trainer.

    Returns:
        As `Task.choose_thresholds`.
    """
    validation, classes = splits.validation, len(splits.class_names)
    if validation is None:
        return splits.task.choose_thresholds(classes, None)
    return splits.task.choose_thresholds(
        classes, lambda: (validation.labels, predict(validation, "val"))
    )


def evaluate_splits(recipe: Recipe, splits: Splits, trained: TrainedModel) -> Evaluation:
    """Evaluate a model on the validation split and, for the only time, on the test split."""
    metrics = trained.history.metrics
    predictions: dict[str, Predictions] = {}
    predicted = {
        prefix: trained.trainer.predict(split, prefix)
        for prefix, split in splits.named().items()
        if prefix != "train"
    }
    thresholds = validation_thresholds(splits, lambda split, prefix: predicted[prefix])
    for prefix, outputs in predicted.items():
        split = splits.named()[prefix]
        values = metrics_of_images(recipe, split.labels, outputs, thresholds, splits.class_names)
        metrics |= {f"{prefix}_{name}": value for name, value in values.items()}
        predictions[prefix] = Predictions(
            splits.class_names,
            split.names,
            split.hex_digests(),
            split.labels,
            outputs,
            thresholds,
        )
        metrics |= measure_leakage_effect(
            splits, prefix, recipe.task.image_scores(predictions[prefix])
        )
    history = trained.history
    if history.best_epoch:
        validated = predictions["val"]
        losses = recipe.task.image_losses(validated.labels, validated.outputs)
        near = near_best_epochs(
            [row[recipe.loss_metric] for row in history.rows], history.best_epoch, losses
        )
        metrics["near_best_epochs"] = float(near)
    trainer = trained.trainer
    metrics |= trainer.feature_metrics()
    parity = trainer.graph.parity if trainer.graph else None
    metrics |= parity.metrics if parity else {}
    return Evaluation(metrics, predictions, trainer.evaluation_engine(), parity, thresholds)


def evaluation_graph(
    trained: TrainedModel, splits: Splits, written: Callable[[], Path | None]
) -> GraphOutputs | None:
    """Return the graph that computes what a model is evaluated by; None where Keras does.

    Args:
        trained: the model.
        splits: the images.
        written: waits for the graph and returns its directory; None if there is none.
    """
    trainer, is_slow = trained.trainer, graph_pays(trained.model, splits)
    if trained.devices.on_gpu or not trainer.runs_whole_model() or not is_slow:
        return None
    directory = written()
    return None if directory is None else compare_graph(directory, trained.model, splits)
