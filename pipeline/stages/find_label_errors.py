"""Find training images that are probably mislabeled, by features of the frozen base."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline import array_cache
from pipeline.data.splits import Splits
from pipeline.errors import escape_unprintable
from pipeline.evaluation.label_errors import LabelErrors, find_cross_validated_label_errors
from pipeline.stages.train_model import TrainedModel
from pipeline.stages.trainer import PretrainedFeatures

logger = logging.getLogger(__name__)


_FORMAT = 2  # of kept errors; with another number, all are looked for again
_MAX_BYTES = 2**24  # of kept errors
_MAX_SMALL = 10_000  # images times classes, for which one thread is fast enough
_MAX_NAMED = 5  # images in the log message


@dataclass(frozen=True)
class SuspectedLabel:
    """A training image that a classifier trained on the others assigns another class.

    Attributes:
        index: in the training split.
        name: of the image, as in the split.
        label: its class.
        suggested: the class that it is assigned.
        confidence: the probability of that class.
    """

    index: int
    name: str
    label: str
    suggested: str
    confidence: float


def find_label_errors(splits: Splits, trained: TrainedModel) -> list[SuspectedLabel] | None:
    """Return the training images that are probably mislabeled, the most probable first.

    Returns:
        None without features of a base that was not trained on these labels, or where an image may
        be of several classes.
    """
    features = trained.trainer.pretrained_features()
    if features is None or not splits.task.IS_EXCLUSIVE:
        return None
    split, names = splits.train, splits.class_names
    errors = _kept_errors(features, split.labels)
    columns = (errors.indices, errors.suggested, errors.confidence)
    suspects = [
        SuspectedLabel(
            index, split.names[index], names[split.labels[index]], names[suggested], confidence
        )
        for index, suggested, confidence in zip(
            *(column.tolist() for column in columns), strict=True
        )
    ]
    suspects.sort(key=lambda suspect: (-suspect.confidence, suspect.name))
    if suspects:
        named = ", ".join(f"{one.name} ({one.suggested}?)" for one in suspects[:_MAX_NAMED])
        count = len(suspects)
        more = f" and {count - _MAX_NAMED} more" if count > _MAX_NAMED else ""
        logger.info(
            f"The labels of {count} training image{'s' if count > 1 else ''} may be wrong: a "
            f"classifier trained on the other images suggests another class. Check "
            f"{escape_unprintable(named)}{more}"
        )
    return suspects


def _kept_errors(features: PretrainedFeatures, labels: np.ndarray) -> LabelErrors:
    """Return the probable label errors, which are kept for further runs with the same features."""

    def find(directory: Path) -> dict[str, list[float]]:
        is_small = len(labels) * len(np.unique(labels)) <= _MAX_SMALL
        # Threads that wait for each other take ten times as long where the processors are busy.
        with threadpool_limits(limits=1 if is_small else None, user_api="blas"):
            errors = find_cross_validated_label_errors(features.read, labels)
        return {name: array.tolist() for name, array in vars(errors).items()}

    key = array_cache.cache_key(
        {
            "format": _FORMAT,
            "features": features.key,
            "labels": hashlib.sha256(labels.tobytes()).hexdigest(),
            "scikit-learn": version("scikit-learn"),
        }
    )
    kept = array_cache.get_or_compute(
        key, find, kind="label_errors", label="probable label errors", limit=_MAX_BYTES
    )
    types = {"indices": int, "suggested": int, "confidence": float}
    return LabelErrors(**{name: np.array(kept.facts[name], each) for name, each in types.items()})
