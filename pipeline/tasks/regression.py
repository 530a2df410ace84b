"""Regression: a number for each image or row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

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

LOSSES: tuple[str, ...] = ("mean_squared_error", "mean_absolute_error", "huber")
LABEL_KIND: LabelKind = "number"
METRICS: tuple[str, ...] = ("mae", "rmse", "mse", "r2")
CLASS_METRICS: tuple[str, ...] = ()
DEFAULTS: Mapping[tuple[str, ...], Any] = {
    ("training", "loss"): "mean_squared_error",
    ("training", "early_stopping", "monitor"): "val_mse",
    ("tuning", "objective"): "val_mae",
}
COMPARED_METRIC = "mae"
LOSS_METRIC = "mse"
IMBALANCE_ADVICE = ""
RUNNING_METRICS: tuple[str, ...] = ("mse", "mae")
CURVE = "mae"
SMOOTHS_LABELS = False
DRAWS_IMAGES = False
IS_EXCLUSIVE = False
HEATMAP_CLASS = "a larger number"
ANSWER: Mapping[str, AnswerType] = {"value": "double"}

_STRATA = 10  # of equally many images, by their labels
_SAME = 1e-3  # of the largest output: a difference that rounding can explain


def headline_metrics(*, is_imbalanced: bool) -> tuple[str, ...]:
    return ("mae", "r2")


def main_metrics(*, is_imbalanced: bool) -> tuple[str, ...]:
    return ("mae", "rmse", "r2", "mse")


def problems(training: TrainingConfig, classes: int | None) -> Iterator[Finding]:
    return iter(())


def metric_problem(name: str, labels: np.ndarray, class_names: Sequence[str]) -> str:
    if name == "r2" and (labels == labels[0]).all():
        return f"is undefined: all validation labels are {labels[0]:g}."
    return ""


def class_counts(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return an empty array: there are no classes."""
    import numpy as np

    return np.zeros(0, np.int64)


def is_of_class(labels: np.ndarray, label: int) -> np.ndarray:
    import numpy as np

    return np.zeros(len(labels), bool)


def strata(labels: np.ndarray) -> np.ndarray:
    """Return the tenth that each label is in, by size."""
    import numpy as np

    return np.searchsorted(_edges(labels), labels, side="left").astype(np.int64)


def stratum_names(labels: np.ndarray, class_names: Sequence[str]) -> list[str]:
    edges = _edges(labels).tolist()
    return [f"labels up to {edge:.4g}" for edge in edges] + ["larger labels"]


def _edges(labels: np.ndarray) -> np.ndarray:
    """Return the largest label of each tenth but the last."""
    import numpy as np

    return np.unique(np.quantile(labels, np.arange(1, _STRATA) / _STRATA, method="lower"))


def describe_label(label: Any, class_names: Sequence[str]) -> str:
    return f"{float(label):.4g}"


def describe_dense(label: np.ndarray, class_names: Sequence[str]) -> str:
    return f"{float(label[0]):.4g}"


def output_layer(
    classes: int, loss: Any, labels: np.ndarray, shape: tuple[int, ...]
) -> OutputLayer:
    """Return a linear unit whose output is scaled as the labels are.

    So the weights see labels of mean 0 and standard deviation 1, in whatever unit the labels are.
    """
    from pipeline.models.layers import OutputLayer

    scale = float(labels.std()) or 1.0
    return OutputLayer(1, "linear", scale, float(labels.mean()))


def label_encoding(classes: int, output: OutputLayer) -> LabelEncoding:
    """Return the number in a column of its own, which augmentation may mix."""
    import tensorflow as tf

    return LabelEncoding(
        width=1,
        dense=lambda labels: tf.cast(tf.reshape(labels, (-1, 1)), tf.float32),
        targets=lambda images, dense: dense,
    )


def running_metrics(classes: int, output: OutputLayer, *, top_k: int | None) -> list[Any]:
    import keras

    return [
        keras.metrics.MeanSquaredError(name="mse"),
        keras.metrics.MeanAbsoluteError(name="mae"),
    ]


def chance_outputs(targets: np.ndarray, output: OutputLayer) -> np.ndarray:
    """Return the mean of the labels for each image."""
    import numpy as np

    return np.broadcast_to(targets.mean(axis=0), targets.shape)


def outputs(units: np.ndarray, inputs: Inputs) -> np.ndarray:
    import numpy as np

    return np.asarray(units, np.float64)


def units_fit(units: int, classes: int) -> bool:
    return units == 1


def choose_thresholds(
    classes: int, validate: Callable[[], tuple[np.ndarray, np.ndarray]] | None
) -> None:
    """Return None: the output is the answer."""


def decide(outputs: np.ndarray, thresholds: np.ndarray | None) -> np.ndarray:
    """Return the number for each image, float (n,)."""
    return outputs[:, 0]


def metrics(
    labels: np.ndarray,
    outputs: np.ndarray,
    thresholds: np.ndarray | None,
    *,
    top_k: int | None = None,
) -> dict[str, float]:
    from pipeline.evaluation.number_metrics import number_metrics

    return number_metrics(labels, outputs[:, 0])


def metric(
    name: str,
    labels: np.ndarray,
    outputs: np.ndarray,
    thresholds: np.ndarray | None,
    class_names: Sequence[str],
) -> float | None:
    from pipeline.evaluation.number_metrics import number_metric

    return number_metric(name, labels, outputs[:, 0])


def image_losses(labels: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Return the squared errors."""
    import numpy as np

    return np.asarray((outputs[:, 0] - labels) ** 2)


def class_rows(predictions: Predictions) -> list[dict[str, Any]]:
    """Return none: there are no classes."""
    return []


def compare(first: Predictions, second: Predictions) -> PairedDifference:
    """Return the differences, with the p-value of a paired t-test of the absolute errors."""
    from pipeline.evaluation import intervals
    from pipeline.evaluation.number_metrics import rmse_difference
    from pipeline.evaluation.predictions import PairedDifference
    from pipeline.evaluation.significance import paired_t_test

    before, after = image_scores(first), image_scores(second)
    metrics = {
        "mae": intervals.mean_interval(after - before),
        "rmse": rmse_difference(before, after),
    }
    return PairedDifference(len(first), metrics, paired_t_test(before, after))


def image_scores(predictions: Predictions) -> np.ndarray:
    """Return the absolute error of each image, (n,)."""
    import numpy as np

    return np.abs(predictions.outputs[:, 0] - predictions.labels)


def answer(
    outputs: np.ndarray, thresholds: np.ndarray | None, class_names: Sequence[str]
) -> dict[str, Any]:
    return {"value": float(outputs[0])}


def table_columns(class_names: Sequence[str], *, top: int) -> list[TableColumn]:
    return [TableColumn("value", "double", ".6g")]


def table_cells(
    outputs: np.ndarray, thresholds: np.ndarray | None, class_names: Sequence[str], *, top: int
) -> list[CellValue]:
    return [float(outputs[0])]


def difference(
    outputs: np.ndarray, expected: np.ndarray, thresholds: np.ndarray | None
) -> OutputDifference:
    """Return how many numbers differ by more than rounding, and the largest difference.

    Both are relative to the largest of the numbers.
    """
    import numpy as np

    relative = relative_differences(outputs, expected)
    return OutputDifference(int(np.sum(relative > _SAME)), float(relative.max()))


def interval_note(*, is_imbalanced: bool) -> str:
    return "bootstrap intervals."


def split_content(predictions: Predictions, *, title: str, view: SplitView) -> SplitContent:
    from pipeline.evaluation.number_content import number_content

    return number_content(predictions)


def select_images(predictions: Predictions) -> list[ImageSelection]:
    from pipeline.evaluation import number_content

    return number_content.select_images(predictions)
