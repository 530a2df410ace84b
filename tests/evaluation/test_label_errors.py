"""Probable label errors, in digits with some labels changed."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pipeline.evaluation import label_errors
from pipeline.evaluation.label_errors import MIN_AGREEMENT, other_labels_of_neighbors


def digits() -> tuple[np.ndarray, np.ndarray]:
    dataset = load_digits()
    return dataset.data.astype(np.float32), dataset.target.astype(np.int64)


def find(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the indices of the probable label errors."""
    _, shares = other_labels_of_neighbors(lambda indices: features[indices], labels)
    return np.flatnonzero(shares >= MIN_AGREEMENT)


def test_most_wrong_labels_are_found_and_few_others() -> None:
    pixels, labels = digits()
    generator = np.random.default_rng(0)
    wrong = generator.choice(len(labels), 90, replace=False)
    labels[wrong] = (labels[wrong] + generator.integers(1, 10, 90)) % 10
    errors = find(pixels, labels)
    assert np.isin(wrong, errors).mean() > 0.9
    assert np.isin(errors, wrong).mean() > 0.8


def test_the_label_of_the_neighbors_is_suggested() -> None:
    pixels, labels = digits()
    true = labels[7]
    labels[7] = (true + 1) % 10
    suggested, shares = other_labels_of_neighbors(lambda indices: pixels[indices], labels)
    assert suggested[7] == true
    assert shares[7] >= MIN_AGREEMENT


def test_correct_labels_are_rarely_reported() -> None:
    assert len(find(*digits())) < 15


def test_the_norm_of_the_features_does_not_matter() -> None:
    pixels, labels = digits()
    labels[7] = (labels[7] + 1) % 10
    scaled = pixels * np.linspace(0.1, 10, len(labels), dtype=np.float32)[:, np.newaxis]
    np.testing.assert_array_equal(find(pixels, labels), find(scaled, labels))


def test_images_of_a_rare_class_are_not_reported_for_being_few() -> None:
    pixels, labels = digits()
    selected = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 6)[:8]])
    errors = find(pixels[selected], (labels[selected] == 6).astype(int))
    assert len(errors) <= 1


def test_neighbors_of_many_images_are_searched_among_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pixels, labels = digits()
    labels[7] = (labels[7] + 1) % 10
    monkeypatch.setattr(label_errors, "_MAX_REFERENCES", 600)
    errors = find(pixels, labels)
    assert 7 in errors
    assert len(errors) < 30


def test_zero_features_are_no_error() -> None:
    assert len(find(np.zeros((6, 4)), np.array([0, 1] * 3))) in range(7)
