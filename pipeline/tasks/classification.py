"""Classification: each image is of one class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.tasks.class_answers import class_answer, top_cells, top_columns
from pipeline.tasks.label_encoding import LabelEncoding
from pipeline.tasks.output_difference import OutputDifference

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
    from pipeline.tasks.table_column import CellValue, TableColumn
    from pipeline.tasks.task import AnswerType, LabelKind
    from pipeline.training.training_config import TrainingConfig

_BINARY = ("binary_cross_entropy", "binary_focal_cross_entropy")  # with one sigmoid unit
LOSSES: tuple[str, ...] = (
    *("cross_entropy", "focal_cross_entropy", "mean_squared_error"),
    *_BINARY,
)
LABEL_KIND: LabelKind = "class"
METRICS: tuple[str, ...] = (
    *("accuracy", "balanced_accuracy", "log_loss", "ece", "roc_auc"),
    *("precision_macro", "precision_weighted", "recall_macro", "recall_weighted"),
    *("f1_macro", "f1_weighted"),
)
CLASS_METRICS: tuple[str, ...] = ("precision", "recall", "f1")
DEFAULTS: Mapping[tuple[str, ...], Any] = {}
COMPARED_METRIC = "accuracy"
LOSS_METRIC = "log_loss"
IMBALANCE_ADVICE = (
    "The model may miss rare classes, which accuracy hardly shows: see balanced_accuracy. To give "
    "rare classes more weight, set training.class_weight: balanced or data.sampling: balanced."
)
RUNNING_METRICS: tuple[str, ...] = ("accuracy", "log_loss", "balanced_accuracy")
CURVE = "accuracy"
SMOOTHS_LABELS = True
DRAWS_IMAGES = False
IS_EXCLUSIVE = True
HEATMAP_CLASS = "the predicted class"
ANSWER: Mapping[str, AnswerType] = {
    "class": "string",
    "probability": "double",
    "probabilities": "any",
}


def headline_metrics(*, is_imbalanced: bool) -> tuple[str, ...]:
    """Return accuracy, with balanced accuracy where it alone would mislead."""
    return ("accuracy", "balanced_accuracy") if is_imbalanced else ("accuracy",)


def main_metrics(*, is_imbalanced: bool) -> tuple[str, ...]:
    return (*headline_metrics(is_imbalanced=is_imbalanced), "f1_macro", "log_loss")


def problems(training: TrainingConfig, classes: int | None) -> Iterator[Finding]:
    from pipeline.training.loss_config import loss_name

    name, top_k = loss_name(training.loss), training.top_k
    if classes and top_k and top_k >= classes:
        message = f"expected less than the number of classes, {classes}. Received {top_k}."
        yield ("training", "top_k"), message
    if classes and name in _BINARY and classes != 2:
        yield ("training", "loss"), f"{name} needs two classes. The data has {classes}."
    if name in _BINARY and top_k:
        yield ("training", "top_k"), f"cannot be used with {name}. Remove this key."


def metric_problem(name: str, labels: np.ndarray, class_names: Sequence[str]) -> str:
    import numpy as np

    present = [class_names[label] for label in np.unique(labels)]
    if name == "roc_auc" and len(present) < 2:
        return f"is undefined: the validation split has only labels of {present[0]}."
    of_class = name.partition("/")[2]
    if of_class in class_names and of_class not in present:
        return f"is undefined: the validation split has none of {of_class}."
    return ""


def class_counts(labels: np.ndarray, classes: int) -> np.ndarray:
    import numpy as np

    return np.bincount(labels, minlength=classes)


def is_of_class(labels: np.ndarray, label: int) -> np.ndarray:
    return labels == label


def strata(labels: np.ndarray) -> np.ndarray:
    """Return the classes."""
    return labels


def stratum_names(labels: np.ndarray, class_names: Sequence[str]) -> list[str]:
    return list(class_names)


def describe_label(label: Any, class_names: Sequence[str]) -> str:
    return class_names[label]


def describe_dense(label: np.ndarray, class_names: Sequence[str]) -> str:
    """Return the class of an image, or the classes that augmentation mixed, with their shares."""
    present = (label > 0.005).nonzero()[0].tolist()
    if len(present) == 1:
        return class_names[present[0]]
    return " + ".join(f"{label[index]:.0%} {class_names[index]}" for index in present)


def output_layer(
    classes: int, loss: Any, labels: np.ndarray, shape: tuple[int, ...]
) -> OutputLayer:
    """Return a softmax over the classes or, for a binary loss, the probability of the second."""
    from pipeline.models.layers import OutputLayer
    from pipeline.training.loss_config import loss_name

    is_binary = loss_name(loss) in _BINARY
    return OutputLayer(1, "sigmoid") if is_binary else OutputLayer(classes, "softmax")


def label_encoding(classes: int, output: OutputLayer) -> LabelEncoding:
    """Return one-hot encoding or, for one sigmoid unit, the share of the second class."""
    import tensorflow as tf

    return LabelEncoding(
        width=classes,
        dense=lambda labels: tf.one_hot(labels, classes) if labels.shape.rank == 1 else labels,
        targets=lambda images, dense: dense[:, -output.units :],
    )


def running_metrics(classes: int, output: OutputLayer, *, top_k: int | None) -> list[Any]:
    from pipeline.training import losses

    return losses.running_metrics(output.activation, classes=classes, top_k=top_k)


def chance_outputs(targets: np.ndarray, output: OutputLayer) -> np.ndarray:
    """Return equal probabilities."""
    import numpy as np

    return np.full(targets.shape, 0.5 if output.units == 1 else 1 / output.units, np.float32)


def outputs(units: np.ndarray, inputs: Inputs) -> np.ndarray:
    """Return class probabilities, float64 (n, classes), rows summing to 1.

    One sigmoid unit p becomes the two columns 1 - p and p.
    """
    import numpy as np

    columns = np.array(units, np.float64)
    if columns.shape[1] == 1:
        columns = np.hstack([1 - columns, columns])
    columns /= columns.sum(axis=1, keepdims=True)
    return columns


def units_fit(units: int, classes: int) -> bool:
    return classes == (2 if units == 1 else units)


def choose_thresholds(
    classes: int, validate: Callable[[], tuple[np.ndarray, np.ndarray]] | None
) -> None:
    """Return None: the most probable class is predicted."""


def decide(outputs: np.ndarray, thresholds: np.ndarray | None) -> np.ndarray:
    """Return the most probable class of each image, int (n,)."""
    return outputs.argmax(axis=1)


def metrics(
    labels: np.ndarray,
    outputs: np.ndarray,
    thresholds: np.ndarray | None,
    *,
    top_k: int | None = None,
) -> dict[str, float]:
    from pipeline.evaluation.metrics import classification_metrics

    return classification_metrics(labels, outputs, top_k=top_k)


def metric(
    name: str,
    labels: np.ndarray,
    outputs: np.ndarray,
    thresholds: np.ndarray | None,
    class_names: Sequence[str],
) -> float | None:
    from pipeline.evaluation.class_metrics import class_metric
    from pipeline.evaluation.metrics import single_metric

    if "/" in name:
        return class_metric(name, labels, decide(outputs, thresholds), class_names)
    return single_metric(name, labels, outputs)


def image_losses(labels: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    from pipeline.evaluation.metrics import log_losses

    return log_losses(labels, outputs)


def class_rows(predictions: Predictions) -> list[dict[str, Any]]:
    from pipeline.evaluation.class_metrics import class_metrics

    names = predictions.class_names
    return class_metrics(predictions.labels, predictions.predicted, names).rows()


def compare(first: Predictions, second: Predictions) -> PairedDifference:
    """Return the differences, with the p-value of McNemar's exact test."""
    from pipeline.evaluation import intervals
    from pipeline.evaluation.predictions import PairedDifference
    from pipeline.evaluation.significance import mcnemar_test

    losses = [image_losses(each.labels, each.outputs) for each in (first, second)]
    before, after = first.is_correct, second.is_correct
    metrics = {
        "accuracy": intervals.paired_difference_interval(before, after),
        "balanced_accuracy": intervals.mean_paired_difference_interval(before, after, first.labels),
        "log_loss": intervals.mean_interval(losses[1] - losses[0]),
    }
    return PairedDifference(len(first), metrics, mcnemar_test(before, after))


def image_scores(predictions: Predictions) -> np.ndarray:
    """Return whether the predicted class of each image is right, bool (n,)."""
    return predictions.is_correct


def answer(
    outputs: np.ndarray, thresholds: np.ndarray | None, class_names: Sequence[str]
) -> dict[str, Any]:
    """Return the most probable class, its probability, and those of all classes."""
    return class_answer(outputs, class_names)


def table_columns(class_names: Sequence[str], *, top: int) -> list[TableColumn]:
    """Return those of the most probable classes and their probabilities."""
    return top_columns(class_names, top)


def table_cells(
    outputs: np.ndarray, thresholds: np.ndarray | None, class_names: Sequence[str], *, top: int
) -> list[CellValue]:
    return top_cells(outputs, class_names, top)


def difference(
    outputs: np.ndarray, expected: np.ndarray, thresholds: np.ndarray | None
) -> OutputDifference:
    """Return how many of the most probable classes differ, and the largest difference."""
    import numpy as np

    changed = decide(outputs, thresholds) != decide(expected, thresholds)
    return OutputDifference(int(changed.sum()), float(np.abs(outputs - expected).max()))


def interval_note(*, is_imbalanced: bool) -> str:
    note = "bootstrap intervals, or Wilson's where fewer than ten images are correct or incorrect."
    if is_imbalanced:
        note += (
            " Balanced accuracy is the mean recall of the classes; its interval is that of Price "
            "and Bonett, for which classes of fewer than ten images are taken together."
        )
    return note


def split_content(predictions: Predictions, *, title: str, view: SplitView) -> SplitContent:
    from pipeline.evaluation.classification_content import classification_content

    return classification_content(predictions, title=title)


def select_images(predictions: Predictions) -> list[ImageSelection]:
    from pipeline.evaluation import classification_content

    return classification_content.select_images(predictions)
