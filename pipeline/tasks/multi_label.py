"""Multi-label classification: each image is of any number of classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.tasks.class_answers import class_answer, ranked_classes, top_cells, top_columns
from pipeline.tasks.label_encoding import LabelEncoding
from pipeline.tasks.output_difference import OutputDifference
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

LOSSES: tuple[str, ...] = (
    "binary_cross_entropy",
    "binary_focal_cross_entropy",
    "asymmetric_cross_entropy",
)
LABEL_KIND: LabelKind = "classes"
METRICS: tuple[str, ...] = (
    *("mean_average_precision", "f1_macro", "f1_micro", "log_loss"),
    *("precision_macro", "precision_micro", "recall_macro", "recall_micro"),
    *("exact_match", "hamming_loss"),
)
CLASS_METRICS: tuple[str, ...] = ("average_precision", "precision", "recall", "f1")
DEFAULTS: Mapping[tuple[str, ...], Any] = {
    ("training", "loss"): "binary_cross_entropy",
    ("tuning", "objective"): "val_mean_average_precision",
}
COMPARED_METRIC = "exact_match"
LOSS_METRIC = "log_loss"
IMBALANCE_ADVICE = (
    "The model may miss rare classes: see f1_macro. To give them more weight, set training.loss: "
    "asymmetric_cross_entropy or binary_focal_cross_entropy."
)
RUNNING_METRICS: tuple[str, ...] = ("log_loss",)
CURVE = "mean_average_precision"
SMOOTHS_LABELS = True
DRAWS_IMAGES = False
IS_EXCLUSIVE = False
HEATMAP_CLASS = "the most probable class"
ANSWER: Mapping[str, AnswerType] = {
    "class": "string",
    "probability": "double",
    "probabilities": "any",
    "classes": "any",
}

_MIN_LABEL_SET = 10  # images; those with rarer sets of labels are drawn by their rarest label


def headline_metrics(*, is_imbalanced: bool) -> tuple[str, ...]:
    return ("mean_average_precision", "f1_macro")


def main_metrics(*, is_imbalanced: bool) -> tuple[str, ...]:
    return (*headline_metrics(is_imbalanced=is_imbalanced), "f1_micro", "log_loss")


def problems(training: TrainingConfig, classes: int | None) -> Iterator[Finding]:
    return iter(())


def metric_problem(name: str, labels: np.ndarray, class_names: Sequence[str]) -> str:
    of_class = name.partition("/")[2]
    if of_class in class_names and not labels[:, list(class_names).index(of_class)].any():
        return f"is undefined: the validation split has none of {of_class}."
    return ""


def class_counts(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the images of each class. An image counts for each of its classes."""
    import numpy as np

    return np.asarray(labels.sum(axis=0))


def is_of_class(labels: np.ndarray, label: int) -> np.ndarray:
    import numpy as np

    return np.asarray(labels[:, label])


def strata(labels: np.ndarray) -> np.ndarray:
    """Return a number for each set of labels or, of rare sets, for the rarest of its labels.

    So each label has the same share in each split, as far as its images allow, and a rare label is
    in all of them. The first is stratification by label sets as Sechidis, Tsoumakas and Vlahavas,
    On the Stratification of Multi-Label Data, 2011, describe it, and the second is the order in
    which their iterative stratification takes the labels.
    """
    return _strata(labels)[0]


def stratum_names(labels: np.ndarray, class_names: Sequence[str]) -> list[str]:
    names = []
    for members, is_rare in _strata(labels)[1]:
        named = "+".join(class_names[index] for index in members)
        names.append(f"{named}+…" if is_rare else named)
    return names


def _strata(labels: np.ndarray) -> tuple[np.ndarray, list[tuple[tuple[int, ...], bool]]]:
    """Return the stratum of each image, and the labels of each stratum and whether it is rare."""
    import numpy as np

    totals = labels.sum(axis=0)
    sets, of_image, counts = np.unique(labels, axis=0, return_inverse=True, return_counts=True)
    numbers: dict[tuple[tuple[int, ...], bool], int] = {}
    of_set = np.empty(len(sets), np.int64)
    for position, (row, count) in enumerate(zip(sets, counts.tolist(), strict=True)):
        members = np.flatnonzero(row).tolist()
        is_rare = count < _MIN_LABEL_SET and len(members) > 1
        if is_rare:
            members = [min(members, key=lambda label: (totals[label], label))]
        of_set[position] = numbers.setdefault((tuple(members), is_rare), len(numbers))
    return of_set[of_image.ravel()], list(numbers)


def describe_label(label: Any, class_names: Sequence[str]) -> str:
    """Return the names of the classes, joined with commas."""
    names = [class_names[index] for index in label.nonzero()[0].tolist()]
    return ", ".join(names) or "none"


def describe_dense(label: np.ndarray, class_names: Sequence[str]) -> str:
    """Return the classes of an image, with the shares that augmentation mixed them with."""
    return (
        ", ".join(
            class_names[index]
            if label[index] > 0.995
            else f"{label[index]:.0%} {class_names[index]}"
            for index in (label > 0.005).nonzero()[0].tolist()
        )
        or "none"
    )


def output_layer(
    classes: int, loss: Any, labels: np.ndarray, shape: tuple[int, ...]
) -> OutputLayer:
    """Return a sigmoid unit for each class."""
    from pipeline.models.layers import OutputLayer

    return OutputLayer(classes, "sigmoid")


def label_encoding(classes: int, output: OutputLayer) -> LabelEncoding:
    """Return 0 or 1 for each class."""
    import tensorflow as tf

    return LabelEncoding(
        width=classes,
        dense=lambda labels: tf.cast(labels, tf.float32),
        targets=lambda images, dense: dense,
    )


def running_metrics(classes: int, output: OutputLayer, *, top_k: int | None) -> list[Any]:
    from pipeline.training import losses

    return losses.label_set_metrics()


def chance_outputs(targets: np.ndarray, output: OutputLayer) -> np.ndarray:
    """Return probabilities of one half."""
    import numpy as np

    return np.full(targets.shape, 0.5, np.float32)


def outputs(units: np.ndarray, inputs: Inputs) -> np.ndarray:
    """Return the probability of each class, float64 (n, classes)."""
    import numpy as np

    return np.asarray(units, np.float64)


def units_fit(units: int, classes: int) -> bool:
    return units == classes


def choose_thresholds(
    classes: int, validate: Callable[[], tuple[np.ndarray, np.ndarray]] | None
) -> np.ndarray:
    """Return the threshold of each class with the highest F1 on the validation images, else 0.5."""
    import numpy as np

    from pipeline.evaluation import label_set_metrics

    return label_set_metrics.choose_thresholds(*validate()) if validate else np.full(classes, 0.5)


def decide(outputs: np.ndarray, thresholds: np.ndarray | None) -> np.ndarray:
    """Return whether each image is of each class, bool (n, classes)."""
    import numpy as np

    assert thresholds is not None
    return np.asarray(outputs >= thresholds)


def metrics(
    labels: np.ndarray,
    outputs: np.ndarray,
    thresholds: np.ndarray | None,
    *,
    top_k: int | None = None,
) -> dict[str, float]:
    from pipeline.evaluation.label_set_metrics import label_set_metrics

    return label_set_metrics(labels, outputs, decide(outputs, thresholds))


def metric(
    name: str,
    labels: np.ndarray,
    outputs: np.ndarray,
    thresholds: np.ndarray | None,
    class_names: Sequence[str],
) -> float | None:
    from pipeline.evaluation.label_set_metrics import label_metric, label_set_metric

    predicted = decide(outputs, thresholds)
    if "/" in name:
        return label_metric(name, labels, outputs, predicted, class_names)
    return label_set_metric(name, labels, outputs, predicted)


def image_losses(labels: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    from pipeline.evaluation import label_set_metrics

    return label_set_metrics.image_losses(labels, outputs)


def class_rows(predictions: Predictions) -> list[dict[str, Any]]:
    from pipeline.evaluation.label_set_content import label_rows

    return label_rows(predictions)


def compare(first: Predictions, second: Predictions) -> PairedDifference:
    """Return the differences, with the p-value of McNemar's exact test of the exact matches."""
    from pipeline.evaluation import intervals
    from pipeline.evaluation.label_set_metrics import average_precision_difference
    from pipeline.evaluation.predictions import PairedDifference
    from pipeline.evaluation.significance import mcnemar_test

    losses = [image_losses(each.labels, each.outputs) for each in (first, second)]
    columns = (each.outputs for each in (first, second))
    before, after = first.is_correct, second.is_correct
    metrics = {
        "exact_match": intervals.paired_difference_interval(before, after),
        "mean_average_precision": average_precision_difference(first.labels, *columns),
        "log_loss": intervals.mean_interval(losses[1] - losses[0]),
    }
    return PairedDifference(len(first), metrics, mcnemar_test(before, after))


def image_scores(predictions: Predictions) -> np.ndarray:
    """Return whether all classes of each image are right, bool (n,)."""
    return predictions.is_correct


def answer(
    outputs: np.ndarray, thresholds: np.ndarray | None, class_names: Sequence[str]
) -> dict[str, Any]:
    """Return the classes, the most probable one, its probability, and those of all classes."""
    classes = list(_predicted_classes(outputs, thresholds, class_names))
    return {**class_answer(outputs, class_names), "classes": classes}


def table_columns(class_names: Sequence[str], *, top: int) -> list[TableColumn]:
    """Return that of the classes, and those of the most probable ones and their probabilities."""
    return [TableColumn("classes", "strings"), *top_columns(class_names, top)]


def table_cells(
    outputs: np.ndarray, thresholds: np.ndarray | None, class_names: Sequence[str], *, top: int
) -> list[CellValue]:
    classes = list(_predicted_classes(outputs, thresholds, class_names))
    return [classes, *top_cells(outputs, class_names, top)]


def _predicted_classes(
    outputs: np.ndarray, thresholds: np.ndarray | None, class_names: Sequence[str]
) -> Iterator[str]:
    """Yield the classes that an image is of, the most probable first."""
    is_predicted = dict(zip(class_names, decide(outputs, thresholds).tolist(), strict=True))
    return (name for name, _ in ranked_classes(outputs, class_names) if is_predicted[name])


def difference(
    outputs: np.ndarray, expected: np.ndarray, thresholds: np.ndarray | None
) -> OutputDifference:
    """Return how many images are of other classes, and the largest difference."""
    import numpy as np

    changed = (decide(outputs, thresholds) != decide(expected, thresholds)).any(axis=1)
    return OutputDifference(int(changed.sum()), float(np.abs(outputs - expected).max()))


def interval_note(*, is_imbalanced: bool) -> str:
    return "bootstrap intervals. Thresholds that the validation images set are taken as given."


def split_content(predictions: Predictions, *, title: str, view: SplitView) -> SplitContent:
    from pipeline.evaluation.label_set_content import label_set_content

    return label_set_content(predictions)


def select_images(predictions: Predictions) -> list[ImageSelection]:
    from pipeline.evaluation import label_set_content

    return label_set_content.select_images(predictions)
