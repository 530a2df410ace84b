"""Reconstruction: each image is its own label, as an autoencoder learns it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.tasks import classification
from pipeline.tasks.label_encoding import LabelEncoding
from pipeline.tasks.output_difference import OutputDifference, relative_differences
from pipeline.tasks.table_column import TableColumn

if TYPE_CHECKING:
    import numpy as np

    from pipeline.config import Finding
    from pipeline.evaluation.predictions import PairedDifference, Predictions
    from pipeline.evaluation.split_content import (
        ImageSelection,
        Inputs,
        SplitContent,
        SplitView,
    )
    from pipeline.models.layers import OutputLayer
    from pipeline.tasks.table_column import CellValue
    from pipeline.tasks.task import AnswerType, LabelKind
    from pipeline.training.training_config import TrainingConfig

LOSSES: tuple[str, ...] = ("mean_squared_error", "mean_absolute_error", "binary_cross_entropy")
LABEL_KIND: LabelKind = "class"
METRICS: tuple[str, ...] = ("mse", "rmse")
CLASS_METRICS: tuple[str, ...] = ()
DEFAULTS: Mapping[tuple[str, ...], Any] = {
    ("training", "loss"): "mean_squared_error",
    ("training", "early_stopping", "monitor"): "val_mse",
    ("tuning", "objective"): "val_mse",
}
COMPARED_METRIC = "mse"
LOSS_METRIC = "mse"
IMBALANCE_ADVICE = "Images of rare classes may be reconstructed worse."
RUNNING_METRICS: tuple[str, ...] = ("mse",)
CURVE = "mse"
IS_EXCLUSIVE = False
SMOOTHS_LABELS = False
DRAWS_IMAGES = True
HEATMAP_CLASS = "the image"
ANSWER: Mapping[str, AnswerType] = {"reconstruction_error": "double", "is_anomaly": "boolean"}

_USUAL = 0.95  # of the validation images have an error up to the threshold
_SAME = 1e-3  # of the largest error: a difference that rounding can explain
_BLOCK = 256  # images whose reconstructions are compared at once
_WHITE = 255.0


def headline_metrics(*, is_imbalanced: bool) -> tuple[str, ...]:
    return ("mse",)


def main_metrics(*, is_imbalanced: bool) -> tuple[str, ...]:
    return METRICS


def problems(training: TrainingConfig, classes: int | None) -> Iterator[Finding]:
    return iter(())


def metric_problem(name: str, labels: np.ndarray, class_names: Sequence[str]) -> str:
    return ""


class_counts = classification.class_counts
is_of_class = classification.is_of_class
strata = classification.strata
stratum_names = classification.stratum_names
describe_label = classification.describe_label
describe_dense = classification.describe_dense


def output_layer(
    classes: int, loss: Any, labels: np.ndarray, shape: tuple[int, ...]
) -> OutputLayer:
    """Return a sigmoid for each value of an image, from black, 0, to white, 1."""
    from pipeline.models.layers import OutputLayer

    return OutputLayer(math.prod(shape), "sigmoid", shape=shape)


def label_encoding(classes: int, output: OutputLayer) -> LabelEncoding:
    """Return the images as targets; their classes only describe them."""
    import tensorflow as tf

    of_classes = classification.label_encoding(classes, output)
    return LabelEncoding(
        width=classes,
        dense=of_classes.dense,
        targets=lambda images, dense: tf.cast(images, tf.float32) / _WHITE,
    )


def running_metrics(classes: int, output: OutputLayer, *, top_k: int | None) -> list[Any]:
    import keras

    return [keras.metrics.MeanSquaredError(name="mse")]


def chance_outputs(targets: np.ndarray, output: OutputLayer) -> np.ndarray:
    """Return the mean image for each image."""
    import numpy as np

    return np.broadcast_to(targets.mean(axis=0), targets.shape)


def outputs(units: np.ndarray, inputs: Inputs) -> np.ndarray:
    """Return the mean squared error of each image, float64 (n, 1), from its reconstruction.

    Args:
        units: reconstructions, 0..1, (n, height, width, channels).
        inputs: the images, 0..255.
    """
    import numpy as np

    errors = np.empty((len(units), 1))
    for start in range(0, len(units), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(units)))
        difference = units[rows] - inputs.read(rows).astype(np.float32) / np.float32(_WHITE)
        errors[rows, 0] = (difference.reshape(len(rows), -1) ** 2).mean(axis=1)
    return errors


def units_fit(units: int, classes: int) -> bool:
    return True


def choose_thresholds(
    classes: int, validate: Callable[[], tuple[np.ndarray, np.ndarray]] | None
) -> np.ndarray:
    """Return the error, float (1,), that 95 % of the validation images do not exceed.

    Without such images it is 1, which no error exceeds.
    """
    import numpy as np

    errors = validate()[1][:, 0] if validate else np.ones(1)
    return np.quantile(errors, [_USUAL])


def decide(outputs: np.ndarray, thresholds: np.ndarray | None) -> np.ndarray:
    """Return whether each image is reconstructed so badly that it is an anomaly, bool (n,)."""
    import numpy as np

    assert thresholds is not None
    return np.asarray(outputs[:, 0] > thresholds[0])


def metrics(
    labels: np.ndarray,
    outputs: np.ndarray,
    thresholds: np.ndarray | None,
    *,
    top_k: int | None = None,
) -> dict[str, float]:
    from pipeline.evaluation.intervals import mean_interval

    mse = mean_interval(outputs[:, 0])
    return {**mse.metrics("mse"), "rmse": mse.value**0.5}


def metric(
    name: str,
    labels: np.ndarray,
    outputs: np.ndarray,
    thresholds: np.ndarray | None,
    class_names: Sequence[str],
) -> float | None:
    mse = float(outputs[:, 0].mean())
    return {"mse": mse, "rmse": mse**0.5}[name]


def image_losses(labels: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    return outputs[:, 0]


def class_rows(predictions: Predictions) -> list[dict[str, Any]]:
    """Return a row for each class, with the mean squared error of its images."""
    import numpy as np

    labels, errors = predictions.labels, predictions.outputs[:, 0]
    counts = np.bincount(labels, minlength=len(predictions.class_names))
    sums = np.bincount(labels, errors, minlength=len(counts))
    return [
        {"class": name, "images": count, "mse": total / count if count else None}
        for name, count, total in zip(
            predictions.class_names, counts.tolist(), sums.tolist(), strict=True
        )
    ]


def compare(first: Predictions, second: Predictions) -> PairedDifference:
    """Return the difference, with the p-value of a paired t-test of the errors."""
    from pipeline.evaluation.intervals import mean_interval
    from pipeline.evaluation.predictions import PairedDifference
    from pipeline.evaluation.significance import paired_t_test

    before, after = image_scores(first), image_scores(second)
    difference = {"mse": mean_interval(after - before)}
    return PairedDifference(len(first), difference, paired_t_test(before, after))


def image_scores(predictions: Predictions) -> np.ndarray:
    """Return the mean squared error of each image, (n,)."""
    return predictions.outputs[:, 0]


def answer(
    outputs: np.ndarray, thresholds: np.ndarray | None, class_names: Sequence[str]
) -> dict[str, Any]:
    is_anomaly = bool(decide(outputs[None], thresholds)[0])
    return {"reconstruction_error": float(outputs[0]), "is_anomaly": is_anomaly}


def table_columns(class_names: Sequence[str], *, top: int) -> list[TableColumn]:
    return [
        TableColumn("reconstruction_error", "double", ".6g"),
        TableColumn("is_anomaly", "boolean"),
    ]


def table_cells(
    outputs: np.ndarray, thresholds: np.ndarray | None, class_names: Sequence[str], *, top: int
) -> list[CellValue]:
    return list(answer(outputs, thresholds, class_names).values())


def difference(
    outputs: np.ndarray, expected: np.ndarray, thresholds: np.ndarray | None
) -> OutputDifference:
    """Return how many images are anomalies for one alone, and the largest difference.

    It is relative to the largest error. A difference that rounding explains changes no answer.
    """
    import numpy as np

    relative = relative_differences(outputs, expected)
    changed = decide(outputs, thresholds) != decide(expected, thresholds)
    return OutputDifference(int(np.sum(changed & (relative > _SAME))), float(relative.max()))


def interval_note(*, is_imbalanced: bool) -> str:
    return "bootstrap intervals."


def split_content(predictions: Predictions, *, title: str, view: SplitView) -> SplitContent:
    from pipeline.evaluation.reconstruction_content import reconstruction_content
    from pipeline.models.layers import LATENT

    return reconstruction_content(predictions, view, latent_layer=LATENT)


def select_images(predictions: Predictions) -> list[ImageSelection]:
    from pipeline.evaluation import reconstruction_content

    return reconstruction_content.select_images(predictions)
