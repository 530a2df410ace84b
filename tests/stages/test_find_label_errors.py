"""Training images that are probably mislabeled: which, in what order, and the message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.data.splits import ArrayImages, Split, Splits
from pipeline.evaluation.label_errors import LabelErrors
from pipeline.stages import find_label_errors as stage
from pipeline.stages.train_model import TrainedModel
from pipeline.stages.trainer import PretrainedFeatures, Trainer

COUNT = 20  # images of each class
CLUSTERS = np.repeat([0, 1], COUNT)


class ClusterTrainer(Trainer):
    """Stands for a trainer whose features are two clusters, one for each class."""

    def pretrained_features(self) -> PretrainedFeatures:
        features = np.eye(2)[CLUSTERS] + np.random.default_rng(0).normal(0, 0.05, (2 * COUNT, 2))
        return PretrainedFeatures(lambda indices: features[indices], "clusters")


class PixelTrainer(Trainer):
    """Stands for a trainer without such features."""


def splits_with(mislabeled: list[int]) -> Splits:
    """Return splits where ants at some indices are in the class of bees.

    The names sort in the opposite order of the indices.
    """
    labels = CLUSTERS.copy()
    labels[mislabeled] = 1
    names = [f"{99 - index}.jpg" for index in range(2 * COUNT)]
    images = ArrayImages(np.zeros((2 * COUNT, 1, 1, 1), np.uint8))
    digests = np.zeros((2 * COUNT, 32), np.uint8)
    split = Split(images, labels, names=names, image_digests=digests, digest="")
    return Splits(("ants", "bees"), split, split, None, ())


def find(splits: Splits, trainer: Any) -> Any:
    nothing: Any = None
    return stage.find_label_errors(splits, TrainedModel(trainer(), nothing, nothing, 32))


def test_an_image_among_those_of_another_class_is_found(messages: list[str]) -> None:
    (suspect,) = find(splits_with([3]), ClusterTrainer)
    assert suspect.confidence > 0.95
    assert suspect == stage.SuspectedLabel(3, "96.jpg", "bees", "ants", suspect.confidence)
    assert messages == [
        "The labels of 1 training image may be wrong: a classifier trained on the other images "
        "suggests another class. Check 96.jpg (ants?)"
    ]


def test_equally_probable_errors_are_sorted_by_name(
    messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = np.array([0.8, 1.0, 1.0, 1.0, 1.0, 1.0])
    errors = LabelErrors(np.arange(6), np.zeros(6, int), shares)
    monkeypatch.setattr(stage, "find_cross_validated_label_errors", lambda features, labels: errors)
    suspects = find(splits_with([*range(6)]), ClusterTrainer)
    assert [suspect.index for suspect in suspects] == [5, 4, 3, 2, 1, 0]
    (message,) = messages
    assert message.endswith(
        "Check 94.jpg (ants?), 95.jpg (ants?), 96.jpg (ants?), 97.jpg (ants?), 98.jpg (ants?) "
        "and 1 more"
    )


def test_what_was_found_is_kept_for_the_same_features_and_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_CACHE", str(tmp_path))
    search, searched = stage.find_cross_validated_label_errors, []

    def counted(features: Any, labels: np.ndarray) -> LabelErrors:
        searched.append(labels)
        return search(features, labels)

    monkeypatch.setattr(stage, "find_cross_validated_label_errors", counted)
    first = find(splits_with([3]), ClusterTrainer)
    assert find(splits_with([3]), ClusterTrainer) == first
    assert len(searched) == 1
    assert find(splits_with([4]), ClusterTrainer) != first
    assert len(searched) == 2


def test_nothing_is_looked_for_without_pretrained_features() -> None:
    assert find(splits_with([3]), PixelTrainer) is None
