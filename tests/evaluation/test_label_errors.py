"""Labels that are probably wrong."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pipeline.evaluation import label_errors
from pipeline.evaluation.label_errors import LabelErrors


def digits() -> tuple[np.ndarray, np.ndarray]:
    found = load_digits()
    return found.data.astype(np.float32), found.target.astype(np.int64)


def suspicions(features: np.ndarray, labels: np.ndarray) -> LabelErrors:
    return label_errors.find_neighbor_label_errors(lambda numbers: features[numbers], labels)


def test_most_wrong_labels_are_found_and_few_others() -> None:
    pixels, labels = digits()
    generator = np.random.default_rng(0)
    wrong = generator.choice(len(labels), 90, replace=False)
    labels[wrong] = (labels[wrong] + generator.integers(1, 10, 90)) % 10
    found = suspicions(pixels, labels)
    assert np.isin(wrong, found.indices).mean() > 0.9
    assert np.isin(found.indices, wrong).mean() > 0.8


def test_the_label_of_the_neighbours_is_suggested_and_the_surest_come_first() -> None:
    pixels, labels = digits()
    true = labels.copy()
    labels[[5, 7]] = (labels[[5, 7]] + 1) % 10
    found = suspicions(pixels, labels)
    assert {5, 7} <= set(found.indices.tolist())
    place = found.indices.tolist().index(7)
    assert found.suggested[place] == true[7]
    assert found.shares.tolist() == sorted(found.shares, reverse=True)
    assert found.shares.min() >= label_errors.FEWEST_AGREEING


def test_true_labels_of_digits_are_hardly_ever_doubted() -> None:
    assert len(suspicions(*digits()).indices) < 15


def test_length_does_not_matter() -> None:
    pixels, labels = digits()
    labels[7] = (labels[7] + 1) % 10
    scaled = pixels * np.linspace(0.1, 10, len(labels), dtype=np.float32)[:, np.newaxis]
    np.testing.assert_array_equal(
        suspicions(pixels, labels).indices, suspicions(scaled, labels).indices
    )


def test_images_of_a_rare_class_are_not_doubted_for_being_few() -> None:
    pixels, labels = digits()
    chosen = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 6)[:8]])
    found = suspicions(pixels[chosen], (labels[chosen] == 6).astype(int))
    assert len(found.indices) <= 1


def test_neighbours_are_looked_for_among_some_images_where_there_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pixels, labels = digits()
    labels[7] = (labels[7] + 1) % 10
    monkeypatch.setattr(label_errors, "_MOST_REFERENCES", 600)
    found = suspicions(pixels, labels)
    assert 7 in found.indices
    assert len(found.indices) < 30


def test_features_of_nothing_are_no_error() -> None:
    assert len(suspicions(np.zeros((6, 4)), np.array([0, 1] * 3)).indices) in range(7)
