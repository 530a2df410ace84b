"""The predictions for a split, stored so that models can be compared on the same images.

There is one Parquet file per split and one row per image: name, digest, true class, predicted class
and the probability of every class, in the order of `class_names` in the file's metadata. Where an
image may be of several classes, both are lists, and the metadata has the `thresholds` of the
probabilities.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from pipeline.errors import DataError
from pipeline.evaluation.intervals import ConfidenceInterval
from pipeline.evaluation.metrics import log_losses
from pipeline.metric_direction import is_better, metric_direction

SUFFIX = ".parquet"

_CLASS_NAMES, _THRESHOLDS = b"class_names", b"thresholds"  # the keys of the file's metadata
_CLASS, _NUMBER = "class", "value"  # the column of the labels
_PROBABILITIES, _OUTPUTS = "probabilities", "outputs"
_MAX_DENSE = 1000  # classes up to which every probability is stored
_MAX_STORED = 100  # probabilities of an image with more classes
_MAX_VALUES = 4_000_000  # probabilities in memory twice


@dataclass(frozen=True)
class Predictions:
    """The predictions of a model for the images of a split.

    Attributes:
        class_names: in the order of the labels.
        names: of the images.
        digests: identify the images, whatever their names.
        labels: the true classes, int (n,), of several bool (n, classes); or numbers, float (n,).
        outputs: float (n, width), as `Task.outputs` returns them: the probability of each class or,
            for numbers, their estimates.
        thresholds: float (classes,), the lowest probability of a class that is predicted, where an
            image may be of several; otherwise None.
    """

    class_names: Sequence[str]
    names: Sequence[str]
    digests: Sequence[str]
    labels: np.ndarray
    outputs: np.ndarray
    thresholds: np.ndarray | None = None

    @cached_property
    def predicted(self) -> np.ndarray:
        """The predicted labels, in the shape of `labels`.

        They are the most probable class, or those whose thresholds are reached. Outputs that are
        no probabilities of classes, float (n,), are what they are.
        """
        if not self.are_probabilities:
            return self.outputs[:, 0]
        if self.thresholds is not None:
            return np.asarray(self.outputs >= self.thresholds)
        return self.outputs.argmax(axis=1)

    @property
    def are_probabilities(self) -> bool:
        """Whether the outputs are the probabilities of the classes."""
        width = self.outputs.shape[1]
        return width == len(self.class_names) and (width > 1 or self.labels.ndim == 2)

    @cached_property
    def is_correct(self) -> np.ndarray:
        """Whether the class of each image is predicted, or all of its classes are, bool (n,)."""
        is_equal = np.asarray(self.predicted == self.labels)
        return np.asarray(is_equal.reshape(len(self), -1).all(axis=1))

    @cached_property
    def confidence(self) -> np.ndarray:
        """The probability of the predicted class, (n,)."""
        return self.outputs.max(axis=1)

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: np.ndarray) -> Predictions:
        """Return the predictions for some images.

        Args:
            indices: int (n,), which of them.
        """
        return Predictions(
            self.class_names,
            [self.names[index] for index in indices],
            [self.digests[index] for index in indices],
            self.labels[indices],
            self.outputs[indices],
            self.thresholds,
        )


@dataclass(frozen=True)
class PairedDifference:
    """The metrics of a second model minus those of a first, on the same images.

    Attributes:
        images: their number.
        metrics: the differences by name, first that of the metric that decides.
        p_value: of a test that the models are equal by that metric.
    """

    images: int
    metrics: Mapping[str, ConfidenceInterval]
    p_value: float

    @property
    def decisive(self) -> ConfidenceInterval:
        """The difference by which the models are compared."""
        return next(iter(self.metrics.values()))

    @property
    def is_improvement(self) -> bool:
        """Whether the second model is better by that metric, be it by chance."""
        return is_better(self.decisive.value, 0.0, metric_direction(next(iter(self.metrics))))


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write predictions to a Parquet file, outputs as float32.

    With more than 1,000 classes, the probabilities of an image that are neither among its 100
    highest nor of its true class are stored as 0, so that the file stays small.
    """
    names, width = predictions.class_names, predictions.outputs.shape[1]
    classes = pa.array([_valid(name) for name in names], pa.string())
    kinds = {
        "f": pa.float64(),
        "i": pa.dictionary(pa.int32(), pa.string()),
        "b": pa.list_(pa.dictionary(pa.int32(), pa.string())),
    }
    kind, predicted_kind = (
        kinds[each.dtype.kind] for each in (predictions.labels, predictions.predicted)
    )
    metadata = {_CLASS_NAMES: json.dumps(list(names))}
    if predictions.thresholds is not None:
        metadata[_THRESHOLDS] = json.dumps(predictions.thresholds.tolist())
    label = _NUMBER if predictions.labels.dtype.kind == "f" else _CLASS
    outputs = _PROBABILITIES if predictions.are_probabilities else _OUTPUTS
    schema = pa.schema(
        [
            ("name", pa.string()),
            ("digest", pa.string()),
            (label, kind),
            ("predicted", predicted_kind),
            (outputs, pa.list_(pa.float32(), width)),
        ],
        metadata=metadata,
    )
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for rows in _blocks(predictions.outputs):
            labels, predicted = predictions.labels[rows], predictions.predicted[rows]
            flat = pa.array(_stored(predictions.outputs[rows], labels).reshape(-1), pa.float32())
            columns = [
                pa.array([_valid(name) for name in predictions.names[rows]], pa.string()),
                pa.array(predictions.digests[rows], pa.string()),
                _named(labels, classes),
                _named(predicted, classes),
                pa.FixedSizeListArray.from_arrays(flat, width),
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def read_predictions(path: Path) -> Predictions:
    """Read a file that `write_predictions` wrote.

    Raises:
        DataError: if the file is damaged or has another format.
    """
    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            metadata = schema.metadata or {}
            names = tuple(json.loads(metadata[_CLASS_NAMES]))
            thresholds = json.loads(metadata.get(_THRESHOLDS, "null"))
            is_number, is_output = (name in schema.names for name in (_NUMBER, _OUTPUTS))
            label = _NUMBER if is_number else _CLASS
            outputs = _OUTPUTS if is_output else _PROBABILITIES
            width = schema.field(outputs).type.list_size
            if not is_output and width != len(names):
                raise ValueError("expected the probability of each class")
            table = file.read(columns=["name", "digest", label, outputs])
        values = np.asarray(table[outputs].combine_chunks().flatten())
        return Predictions(
            class_names=names,
            names=table["name"].to_pylist(),
            digests=table["digest"].to_pylist(),
            labels=np.asarray(table[label])
            if is_number
            else _labels(table[label].to_pylist(), names),
            outputs=values.reshape(len(table), width),
            thresholds=None if thresholds is None else np.array(thresholds, np.float32),
        )
    except (OSError, pa.ArrowException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{path} is not a predictions file: {error}.") from None


def paired_difference(
    first: Predictions,
    second: Predictions,
    compare: Callable[[Predictions, Predictions], PairedDifference],
) -> PairedDifference:
    """Return the metrics of the second model minus those of the first, paired by image.

    Args:
        first: predictions of the first model.
        second: predictions of the second model.
        compare: returns the differences for the same images in the same order.

    Raises:
        DataError: if the images or their classes differ.
    """
    orders = _matching_orders(first, second)
    return compare(first.subset(orders[0]), second.subset(orders[1]))


def worst_errors(predictions: Predictions, max_images: int) -> np.ndarray:
    """Return the indices of the misclassified images with the highest losses, highest first."""
    losses = log_losses(predictions.labels, predictions.outputs)
    order = np.argsort(-losses, kind="stable")
    return order[~predictions.is_correct[order]][:max_images]


def least_certain(predictions: Predictions, max_images: int, *, exclude: np.ndarray) -> np.ndarray:
    """Return the indices of the images with the smallest margins, smallest first.

    The margin is the difference between the two highest probabilities. The indices in `exclude` are
    left out.
    """
    margins = np.empty(len(predictions))
    for rows in _blocks(predictions.outputs):
        second, first = np.partition(predictions.outputs[rows], -2, axis=1)[:, -2:].T
        margins[rows] = first - second
    order = np.argsort(margins, kind="stable")
    return order[~np.isin(order, exclude)][:max_images]


def most_confused(predictions: Predictions, max_pairs: int) -> list[tuple[int, int, int]]:
    """Return true label, predicted label and images, the most frequent confusion first."""
    wrong = ~predictions.is_correct
    pairs = predictions.labels[wrong] * len(predictions.class_names) + predictions.predicted[wrong]
    values, counts = np.unique(pairs, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:max_pairs]
    labels, predicted = np.divmod(values[order], len(predictions.class_names))
    return list(zip(labels.tolist(), predicted.tolist(), counts[order].tolist(), strict=True))


def confusion_matrix(predictions: Predictions, labels: Sequence[int]) -> np.ndarray:
    """Return the images of some true classes (rows) that were predicted to be of them (columns).

    Args:
        predictions: the predictions.
        labels: (k,) of the classes.

    Returns:
        int (k, k).
    """
    count = len(labels)
    position = np.full(len(predictions.class_names), -1)
    position[np.asarray(labels, int)] = np.arange(count)
    true, predicted = position[predictions.labels], position[predictions.predicted]
    inside = (true >= 0) & (predicted >= 0)
    cells = np.bincount(true[inside] * count + predicted[inside], minlength=count**2)
    return cells.reshape(count, count)


def _named(labels: np.ndarray, classes: pa.Array) -> pa.Array:
    """Return the names of classes, of each image one, int (n,), or several, bool (n, classes).

    Numbers, float (n,), stay as they are.
    """
    if labels.dtype.kind == "f":
        return pa.array(labels, pa.float64())
    if labels.ndim == 1:
        return pa.DictionaryArray.from_arrays(pa.array(labels, pa.int32()), classes)
    offsets = pa.array(np.append(0, np.cumsum(labels.sum(axis=1))), pa.int32())
    flat = pa.array(np.nonzero(labels)[1], pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.DictionaryArray.from_arrays(flat, classes))


def _labels(values: Sequence[Any], class_names: Sequence[str]) -> np.ndarray:
    """Return what `_named` took.

    Raises:
        KeyError: if a name is not that of a class.
    """
    label_of = {_valid(name): label for label, name in enumerate(class_names)}
    if not any(isinstance(value, list) for value in values):
        return np.array([label_of[name] for name in values], np.int64)
    labels = np.zeros((len(values), len(class_names)), bool)
    for row, names in zip(labels, values, strict=True):
        row[[label_of[name] for name in names]] = True
    return labels


def _stored(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return probabilities (n, classes) as they are stored, float32."""
    stored = probabilities.astype(np.float32)
    if stored.shape[1] <= _MAX_DENSE:
        return stored
    highest = np.argpartition(probabilities, -_MAX_STORED, axis=1)[:, -_MAX_STORED:]
    kept = np.zeros(stored.shape, bool)
    rows = np.arange(len(labels))
    kept[rows[:, np.newaxis], highest] = True
    if labels.ndim == 2:
        kept |= labels
    else:
        kept[rows, labels] = True
    stored[~kept] = 0
    return stored


def _blocks(probabilities: np.ndarray) -> Iterator[slice]:
    """Yield slices of rows that are small enough to be copied."""
    rows = max(_MAX_VALUES // max(probabilities.shape[1], 1), 1)
    for start in range(0, len(probabilities), rows):
        yield slice(start, start + rows)


def _valid(name: str) -> str:
    """Return a name as UTF-8 can hold it, which a file name need not be."""
    return name.encode("utf-8", "backslashreplace").decode()


def _matching_orders(first: Predictions, second: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of the images of each model that pairs them."""
    images, other_images = _identities(first), _identities(second)
    only_first = Counter(images) - Counter(other_images)
    only_second = Counter(other_images) - Counter(images)
    if not only_first and not only_second:
        return _sorted_order(images), _sorted_order(other_images)
    predictions, identities, unpaired = (
        (first, images, only_first) if only_first else (second, other_images, only_second)
    )
    pairs = zip(predictions.names, identities, strict=True)
    example = next(name for name, identity in pairs if identity in unpaired)
    raise DataError(
        "The models were not evaluated on the same examples with the same classes. Examples of the "
        f"first model only: {only_first.total():,} of {len(first):,}. Images of the second model "
        f"only: {only_second.total():,} of {len(second):,}. Example: {example}. Evaluate both "
        "models on the same examples."
    )


def _identities(predictions: Predictions) -> list[tuple[str, str]]:
    names = predictions.class_names
    if predictions.labels.dtype.kind == "f":
        classes = [f"{label:.9g}" for label in predictions.labels.tolist()]
    elif predictions.labels.ndim == 1:
        classes = [names[label] for label in predictions.labels]
    else:
        rows = (np.flatnonzero(row).tolist() for row in predictions.labels)
        classes = [" ".join(sorted(names[label] for label in row)) for row in rows]
    return list(zip(predictions.digests, classes, strict=True))


def _sorted_order(identities: list[tuple[str, str]]) -> np.ndarray:
    return np.array(sorted(range(len(identities)), key=identities.__getitem__), np.int64)
