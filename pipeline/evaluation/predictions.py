"""The predictions for a split, stored so that models can be compared on the same images.

There is one CSV file per split and one row per image: name, digest, true class, predicted class
and the probability of every class.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn import metrics

from pipeline.errors import DataError
from pipeline.evaluation import intervals
from pipeline.evaluation.intervals import ConfidenceInterval
from pipeline.evaluation.metrics import log_losses
from pipeline.evaluation.significance import mcnemar_test

_COLUMNS = ("name", "digest", "class", "predicted")
_PROBABILITY = "probability/"


@dataclass(frozen=True)
class Predictions:
    """The predictions of a model for the images of a split.

    Attributes:
        class_names: in the order of the labels.
        names: of the images.
        digests: identify the images, whatever their names.
        labels: int (n,), the true classes.
        probabilities: float64 (n, classes), rows summing to 1.
    """

    class_names: Sequence[str]
    names: Sequence[str]
    digests: Sequence[str]
    labels: np.ndarray
    probabilities: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each image, int (n,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def is_correct(self) -> np.ndarray:
        """Whether each image is classified correctly, bool (n,)."""
        return self.predicted == self.labels

    @property
    def confidence(self) -> np.ndarray:
        """The probability of the predicted class, (n,)."""
        return self.probabilities.max(axis=1)

    @property
    def confusion_matrix(self) -> np.ndarray:
        """The number of images of each true class (rows) and predicted class (columns)."""
        classes = range(len(self.class_names))
        return np.asarray(metrics.confusion_matrix(self.labels, self.predicted, labels=classes))

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class PairedDifference:
    """The metrics of a second model minus those of a first, on the same images.

    Attributes:
        images: their number.
        accuracy: above 0 where the second model is better.
        log_loss: below 0 where the second model is better.
        p_value: of McNemar's exact test that their accuracies are equal.
    """

    images: int
    accuracy: ConfidenceInterval
    log_loss: ConfidenceInterval
    p_value: float


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write predictions to a CSV file, with nine digits: enough for every float32."""
    names = predictions.class_names
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*_COLUMNS, *(f"{_PROBABILITY}{name}" for name in names)])
        columns = (
            predictions.names,
            predictions.digests,
            predictions.labels.tolist(),
            predictions.predicted.tolist(),
            predictions.probabilities.tolist(),
        )
        for name, digest, label, predicted, row in zip(*columns, strict=True):
            values = [f"{value:.9g}" for value in row]
            writer.writerow([name, digest, names[label], names[predicted], *values])


def read_predictions(path: Path) -> Predictions:
    """Read a file that `write_predictions` wrote.

    Raises:
        DataError: if the file has another format.
    """
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            header, *rows = csv.reader(file)
        if tuple(header[: len(_COLUMNS)]) != _COLUMNS:
            raise ValueError(f"its columns are {', '.join(header)}")
        names = tuple(column.removeprefix(_PROBABILITY) for column in header[len(_COLUMNS) :])
        label_of = {name: label for label, name in enumerate(names)}
        return Predictions(
            class_names=names,
            names=[row[0] for row in rows],
            digests=[row[1] for row in rows],
            labels=np.array([label_of[row[2]] for row in rows], np.int64),
            probabilities=np.array([row[len(_COLUMNS) :] for row in rows], np.float64),
        )
    except (OSError, ValueError, KeyError, IndexError, csv.Error) as error:
        raise DataError(f"{path} is not a predictions file: {error}.") from None


def paired_difference(first: Predictions, second: Predictions) -> PairedDifference:
    """Return the metrics of the second model minus those of the first, paired by image.

    Raises:
        DataError: if the images or their classes differ.
    """
    pairs = list(zip((first, second), _matching_orders(first, second), strict=True))
    correct = [predictions.is_correct[order] for predictions, order in pairs]
    losses = [log_losses(each.labels, each.probabilities)[order] for each, order in pairs]
    return PairedDifference(
        images=len(first),
        accuracy=intervals.paired_difference_interval(*correct),
        log_loss=intervals.mean_interval(losses[1] - losses[0]),
        p_value=mcnemar_test(*correct),
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
    second, first = np.partition(predictions.probabilities, -2, axis=1)[:, -2:].T
    order = np.argsort(first - second, kind="stable")
    return order[~np.isin(order, exclude)][:max_images]


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
