"""Probable label errors, in digits with some labels changed."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pipeline.evaluation import label_errors
from pipeline.evaluation.label_errors import LabelErrors


def digits() -> tuple[np.ndarray, np.ndarray]:
    dataset = load_digits()
    return dataset.data.astype(np.float32), dataset.target.astype(np.int64)


def find(features: np.ndarray, labels: np.ndarray) -> LabelErrors:
    return label_errors.find_neighbor_label_errors(lambda indices: features[indices], labels)


def test_most_wrong_labels_are_found_and_few_others() -> None:
    pixels, labels = digits()
    generator = np.random.default_rng(0)
    wrong = generator.choice(len(labels), 90, replace=False)
    labels[wrong] = (labels[wrong] + generator.integers(1, 10, 90)) % 10
    errors = find(pixels, labels)
    assert np.isin(wrong, errors.indices).mean() > 0.9
    assert np.isin(errors.indices, wrong).mean() > 0.8


def test_the_label_of_the_neighbors_is_suggested_and_the_most_probable_errors_come_first() -> None:
    pixels, labels = digits()
    true = labels.copy()
    labels[[5, 7]] = (labels[[5, 7]] + 1) % 10
    errors = find(pixels, labels)
    assert {5, 7} <= set(errors.indices.tolist())
    position = errors.indices.tolist().index(7)
    assert errors.suggested[position] == true[7]
    assert errors.agreement.tolist() == sorted(errors.agreement, reverse=True)
    assert errors.agreement.min() >= label_errors.MIN_AGREEMENT


def test_correct_labels_are_rarely_reported() -> None:
    assert len(find(*digits()).indices) < 15


def test_the_norm_of_the_features_does_not_matter() -> None:
    pixels, labels = digits()
    labels[7] = (labels[7] + 1) % 10
    scaled = pixels * np.linspace(0.1, 10, len(labels), dtype=np.float32)[:, np.newaxis]
    np.testing.assert_array_equal(find(pixels, labels).indices, find(scaled, labels).indices)


def test_images_of_a_rare_class_are_not_reported_for_being_few() -> None:
    pixels, labels = digits()
    selected = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 6)[:8]])
    errors = find(pixels[selected], (labels[selected] == 6).astype(int))
    assert len(errors.indices) <= 1


def test_neighbors_of_many_images_are_searched_among_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pixels, labels = digits()
    labels[7] = (labels[7] + 1) % 10
    monkeypatch.setattr(label_errors, "_MAX_REFERENCES", 600)
    errors = find(pixels, labels)
    assert 7 in errors.indices
    assert len(errors.indices) < 30


def test_zero_features_are_no_error() -> None:
    assert len(find(np.zeros((6, 4)), np.array([0, 1] * 3)).indices) in range(7)
