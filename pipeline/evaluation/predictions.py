"""The predictions for a split, stored so that models can be compared on the same images.

There is one Parquet file per split and one row per image: name, digest, true class, predicted class
and the probability of every class, in the order of `class_names` in the file's metadata.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from pipeline.errors import DataError
from pipeline.evaluation import intervals
from pipeline.evaluation.intervals import ConfidenceInterval
from pipeline.evaluation.metrics import log_losses
from pipeline.evaluation.significance import mcnemar_test

SUFFIX = ".parquet"

_CLASS_NAMES = b"class_names"  # the key of the file's metadata
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
        labels: int (n,), the true classes.
        probabilities: float (n, classes), rows summing to 1.
    """

    class_names: Sequence[str]
    names: Sequence[str]
    digests: Sequence[str]
    labels: np.ndarray
    probabilities: np.ndarray

    @cached_property
    def predicted(self) -> np.ndarray:
        """The most probable class of each image, int (n,)."""
        return self.probabilities.argmax(axis=1)

    @cached_property
    def is_correct(self) -> np.ndarray:
        """Whether each image is classified correctly, bool (n,)."""
        return self.predicted == self.labels

    @cached_property
    def confidence(self) -> np.ndarray:
        """The probability of the predicted class, (n,)."""
        return self.probabilities.max(axis=1)

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
            self.probabilities[indices],
        )


@dataclass(frozen=True)
class PairedDifference:
    """The metrics of a second model minus those of a first, on the same images.

    Attributes:
        images: their number.
        accuracy: above 0 where the second model is better.
        balanced_accuracy: the same.
        log_loss: below 0 where the second model is better.
        p_value: of McNemar's exact test that their accuracies are equal.
    """

    images: int
    accuracy: ConfidenceInterval
    balanced_accuracy: ConfidenceInterval
    log_loss: ConfidenceInterval
    p_value: float


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write predictions to a Parquet file, probabilities as float32.

    With more than 1,000 classes, the probabilities of an image that are neither among its 100
    highest nor of its true class are stored as 0, so that the file stays small.
    """
    names = predictions.class_names
    classes = pa.array([_valid(name) for name in names], pa.string())
    schema = pa.schema(
        [
            ("name", pa.string()),
            ("digest", pa.string()),
            ("class", pa.dictionary(pa.int32(), pa.string())),
            ("predicted", pa.dictionary(pa.int32(), pa.string())),
            ("probabilities", pa.list_(pa.float32(), len(names))),
        ],
        metadata={_CLASS_NAMES: json.dumps(list(names))},
    )
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for rows in _blocks(predictions.probabilities):
            labels = predictions.labels[rows]
            probabilities = predictions.probabilities[rows]
            predicted = probabilities.argmax(axis=1)
            flat = pa.array(_stored(probabilities, labels).reshape(-1), pa.float32())
            columns = [
                pa.array([_valid(name) for name in predictions.names[rows]], pa.string()),
                pa.array(predictions.digests[rows], pa.string()),
                pa.DictionaryArray.from_arrays(pa.array(labels, pa.int32()), classes),
                pa.DictionaryArray.from_arrays(pa.array(predicted, pa.int32()), classes),
                pa.FixedSizeListArray.from_arrays(flat, len(names)),
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
            names = tuple(json.loads((schema.metadata or {})[_CLASS_NAMES]))
            if schema.field("probabilities").type != pa.list_(pa.float32(), len(names)):
                raise ValueError("expected the probability of each class")
            table = file.read(columns=["name", "digest", "class", "probabilities"])
        label_of = {_valid(name): label for label, name in enumerate(names)}
        probabilities = table["probabilities"].combine_chunks().flatten()
        return Predictions(
            class_names=names,
            names=table["name"].to_pylist(),
            digests=table["digest"].to_pylist(),
            labels=np.array([label_of[name] for name in table["class"].to_pylist()], np.int64),
            probabilities=np.asarray(probabilities).reshape(len(table), len(names)),
        )
    except (OSError, pa.ArrowException, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path} is not a predictions file: {error}.") from None


def paired_difference(first: Predictions, second: Predictions) -> PairedDifference:
    """Return the metrics of the second model minus those of the first, paired by image.

    Raises:
        DataError: if the images or their classes differ.
    """
    pairs = list(zip((first, second), _matching_orders(first, second), strict=True))
    before, after = (predictions.is_correct[order] for predictions, order in pairs)
    losses = [log_losses(each.labels, each.probabilities)[order] for each, order in pairs]
    labels = first.labels[pairs[0][1]]
    return PairedDifference(
        images=len(first),
        accuracy=intervals.paired_difference_interval(before, after),
        balanced_accuracy=intervals.mean_paired_difference_interval(before, after, labels),
        log_loss=intervals.mean_interval(losses[1] - losses[0]),
        p_value=mcnemar_test(before, after),
    )


def worst_errors(predictions: Predictions, max_images: int) -> np.ndarray:
    """Return the indices of the misclassified images with the highest losses, highest first."""
    losses = log_losses(predictions.labels, predictions.probabilities)
    order = np.argsort(-losses, kind="stable")
    return order[~predictions.is_correct[order]][:max_images]


def least_certain(predictions: Predictions, max_images: int, *, exclude: np.ndarray) -> np.ndarray:
    """Return the indices of the images with the smallest margins, smallest first.

    The margin is the difference between the two highest probabilities. The indices in `exclude` are
    left out.
    """
    margins = np.empty(len(predictions))
    for rows in _blocks(predictions.probabilities):
        second, first = np.partition(predictions.probabilities[rows], -2, axis=1)[:, -2:].T
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


def _stored(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return probabilities (n, classes) as they are stored, float32."""
    stored = probabilities.astype(np.float32)
    if stored.shape[1] <= _MAX_DENSE:
        return stored
    highest = np.argpartition(probabilities, -_MAX_STORED, axis=1)[:, -_MAX_STORED:]
    kept = np.zeros(stored.shape, bool)
    rows = np.arange(len(labels))
    kept[rows[:, np.newaxis], highest] = True
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
        "The models were not evaluated on the same images with the same classes. Images of the "
        f"first model only: {only_first.total():,} of {len(first):,}. Images of the second model "
        f"only: {only_second.total():,} of {len(second):,}. Example: {example}. Evaluate both "
        "models on the same images."
    )


def _identities(predictions: Predictions) -> list[tuple[str, str]]:
    classes = [predictions.class_names[label] for label in predictions.labels]
    return list(zip(predictions.digests, classes, strict=True))


def _sorted_order(identities: list[tuple[str, str]]) -> np.ndarray:
    return np.array(sorted(range(len(identities)), key=identities.__getitem__), np.int64)
