"""What a model gives each image of a split, kept so that models can be compared on the same images.

One CSV file a split, one row an image: its name, its digest, its class, the class that it was taken
for, and the probability of every class.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import DataError
from pipeline.evaluation import intervals
from pipeline.evaluation.intervals import Interval
from pipeline.evaluation.metrics import log_losses

_COLUMNS = ("name", "digest", "class", "predicted")
_PROBABILITY = "probability/"


@dataclass(frozen=True)
class Predictions:
    """What a model gives the images of a split.

    Attributes:
        class_names: in the order of the labels.
        names: what each image is called.
        digests: by which each image is known again, whatever it is called.
        labels: int (n,), the class that each image has.
        probabilities: float64 (n, classes), rows summing to 1.
    """

    class_names: Sequence[str]
    names: Sequence[str]
    digests: Sequence[str]
    labels: np.ndarray
    probabilities: np.ndarray

    @property
    def chosen(self) -> np.ndarray:
        """The class that each image is taken for, int (n,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def right(self) -> np.ndarray:
        """Whether that is the class it has, bool (n,)."""
        return self.chosen == self.labels

    @property
    def confidence(self) -> np.ndarray:
        """The probability of the class that each image is taken for, (n,)."""
        return self.probabilities.max(axis=1)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Difference:
    """How much larger the figures of a second model are, on the same images.

    Attributes:
        images: how many there are.
        accuracy: above 0 where the second model is better.
        log_loss: below 0 where the second model is better.
    """

    images: int
    accuracy: Interval
    log_loss: Interval


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write predictions to a CSV file, probabilities to nine digits: a float32 in full."""
    names = predictions.class_names
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*_COLUMNS, *(f"{_PROBABILITY}{name}" for name in names)])
        columns = (
            predictions.names,
            predictions.digests,
            predictions.labels.tolist(),
            predictions.chosen.tolist(),
            predictions.probabilities.tolist(),
        )
        for name, digest, label, chosen, row in zip(*columns, strict=True):
            shares = [f"{value:.9g}" for value in row]
            writer.writerow([name, digest, names[label], names[chosen], *shares])


def read_predictions(path: Path) -> Predictions:
    """Return what `write` wrote.

    Raises:
        DataError: if the file is not of that kind.
    """
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            header, *rows = csv.reader(file)
        if tuple(header[: len(_COLUMNS)]) != _COLUMNS:
            raise ValueError(f"its columns are {', '.join(header)}")
        names = tuple(column.removeprefix(_PROBABILITY) for column in header[len(_COLUMNS) :])
        place = {name: number for number, name in enumerate(names)}
        return Predictions(
            class_names=names,
            names=[row[0] for row in rows],
            digests=[row[1] for row in rows],
            labels=np.array([place[row[2]] for row in rows], np.int64),
            probabilities=np.array([row[len(_COLUMNS) :] for row in rows], np.float64),
        )
    except (OSError, ValueError, KeyError, IndexError, csv.Error) as error:
        raise DataError(f"{path} does not hold predictions: {error}.") from None


def difference(first: Predictions, second: Predictions) -> Difference:
    """Return how much larger the figures of the second model are, paired image by image.

    Raises:
        DataError: if the two are not of the same images with the same classes.
    """
    orders = _paired(first, second)
    rights = [which.right[order] for which, order in zip((first, second), orders, strict=True)]
    losses = [
        log_losses(which.labels, which.probabilities)[order]
        for which, order in zip((first, second), orders, strict=True)
    ]
    return Difference(
        images=len(first),
        accuracy=intervals.paired_difference_interval(*rights),
        log_loss=intervals.paired_mean_difference_interval(*losses),
    )


def worst_mistakes(given: Predictions, most: int) -> np.ndarray:
    """Return the places of the images whose own class was given least, at most so many.

    The worst comes first; only images that were taken for another class are among them.
    """
    losses = log_losses(given.labels, given.probabilities)
    order = np.argsort(-losses, kind="stable")
    return order[~given.right[order]][:most]


def least_certain(given: Predictions, most: int, *, besides: np.ndarray) -> np.ndarray:
    """Return the places of the images whose two most probable classes are closest.

    The closest comes first; the images at `besides` are left out.
    """
    second, first = np.partition(given.probabilities, -2, axis=1)[:, -2:].T
    order = np.argsort(first - second, kind="stable")
    return order[~np.isin(order, besides)][:most]


def _paired(first: Predictions, second: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of the images of each that makes them the same, image by image."""
    known, others = _identities(first), _identities(second)
    alone, also = Counter(known) - Counter(others), Counter(others) - Counter(known)
    if not alone and not also:
        return _order(known), _order(others)
    which, identities, missing = (first, known, alone) if alone else (second, others, also)
    example = next(
        name for name, identity in zip(which.names, identities, strict=True) if identity in missing
    )
    raise DataError(
        f"The two are not of the same images with the same classes: {alone.total():,} of the "
        f"{len(first):,} of the first are not among the {len(second):,} of the second, and "
        f"{also.total():,} of those not among the first, such as {example}. Figures of "
        "other images cannot be paired."
    )


def _identities(predictions: Predictions) -> list[tuple[str, str]]:
    classes = [predictions.class_names[label] for label in predictions.labels]
    return list(zip(predictions.digests, classes, strict=True))


def _order(identities: list[tuple[str, str]]) -> np.ndarray:
    return np.array(sorted(range(len(identities)), key=identities.__getitem__), np.int64)
