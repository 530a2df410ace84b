"""Calibrate when a model does not know: prediction sets, and the distance to the training images.

Thresholds are set on images that neither trained the model nor chose anything about it: those of
the test split. The distance is measured between features of a pretrained base, which the choice of
an epoch does not fit to the validation images, so these set its threshold if there is no test
split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.data.splits import Split, Splits
from pipeline.evaluation.conformal import ConformalCalibration, calibrate
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.set_coverage import REPORTED_LEVELS, SetCoverage, calibration_coverage
from pipeline.even_spacing import evenly_spaced
from pipeline.inference import feature_distance
from pipeline.inference.feature_distance import DistanceConfig, FeatureReferences
from pipeline.models import transfer

# (split, indices (n,), name of the split) → features (n, units); None without a pretrained base.
BaseFeatures = Callable[[Split, np.ndarray, str], "np.ndarray | None"]

_MAX_HELD_OUT = 2000  # images that set the threshold of the distance


@dataclass(frozen=True)
class ModelCalibration:
    """What a model needs to say that it does not know.

    Attributes:
        conformal: what prediction sets are made with; None without test images.
        distance: how distances are measured; None without a pretrained base or held-out images.
        references: the training images that distances are measured to; None if `distance` is.
        coverage: of the prediction sets of the calibration images, each by the threshold of all the
            others, at several levels.
    """

    conformal: ConformalCalibration | None = None
    distance: DistanceConfig | None = None
    references: FeatureReferences | None = None
    coverage: Sequence[SetCoverage] = ()


def calibrate_model(
    splits: Splits, base_features: BaseFeatures, predictions: Mapping[str, Predictions]
) -> ModelCalibration:
    """Calibrate a trained model.

    Args:
        splits: the images.
        base_features: as `Trainer.base_features`, of the model's trainer.
        predictions: of the model, by split.
    """
    conformal, coverage = None, []
    kept = np.empty(0, np.int64) if splits.test is None else _without_leaks(splits, "test")
    if len(kept) and splits.task.IS_EXCLUSIVE:
        calibrating = predictions["test"].subset(kept)
        conformal = calibrate(calibrating.labels, calibrating.outputs)
        levels = (calibration_coverage(calibrating, level) for level in REPORTED_LEVELS)
        coverage = [each for each in levels if each]
    config, references = _measure_distance(splits, base_features) or (None, None)
    return ModelCalibration(conformal, config, references, coverage)


def _without_leaks(splits: Splits, name: str) -> np.ndarray:
    """Return the indices of the images of a split that have no copy in an earlier split."""
    return np.setdiff1d(np.arange(len(splits.named()[name])), splits.leaked_indices(name))


def _measure_distance(
    splits: Splits, base_features: BaseFeatures
) -> tuple[DistanceConfig, FeatureReferences] | None:
    held_out = _held_out(splits)
    if held_out is None:
        return None
    features = base_features(splits.train, _references(splits.train), "train")
    known = base_features(*held_out)
    if features is None or known is None:
        return None
    references = feature_distance.make_references(features)
    distances = references.distances(known, feature_distance.NEIGHBORS)
    config = DistanceConfig(
        layer=transfer.FEATURES,
        neighbors=feature_distance.NEIGHBORS,
        threshold=feature_distance.distance_threshold(distances),
        images=len(distances),
        sha256=hashlib.sha256(references.encode()).hexdigest(),
    )
    return config, references


def _held_out(splits: Splits) -> tuple[Split, np.ndarray, str] | None:
    """Return the split whose images set the threshold of the distance, which of them, its name."""
    for name in ("test", "val"):
        split = splits.named().get(name)
        kept = _without_leaks(splits, name) if split else np.empty(0, np.int64)
        if split and len(kept) >= feature_distance.MIN_HELD_OUT:
            return split, kept[evenly_spaced(len(kept), at_most=_MAX_HELD_OUT)], name
    return None


def _references(train: Split) -> np.ndarray:
    """Return the indices of training images that are evenly drawn from the strata."""
    in_order = np.argsort(train.strata, kind="stable")
    drawn = evenly_spaced(len(in_order), at_most=feature_distance.MAX_REFERENCES)
    return np.sort(in_order[drawn])
