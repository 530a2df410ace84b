"""Probable label errors, in digits with some labels changed."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pipeline.evaluation import label_errors
from pipeline.evaluation.label_errors import LabelErrors


def digits() -> tuple[np.ndarray, np.ndarray]:
    dataset = load_digits()
    return dataset.data.astype(np.float32), dataset.target.astype(np.int64)


def find(features: np.ndarray, labels: np.ndarray) -> LabelErrors:
    return label_errors.find_cross_validated_label_errors(lambda rows: features[rows], labels)


def with_wrong_labels(labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels of which `count` are wrong, and the indices of these."""
    generator = np.random.default_rng(0)
    wrong = generator.choice(len(labels), count, replace=False)
    changed = labels.copy()
    changed[wrong] = (labels[wrong] + generator.integers(1, 10, count)) % 10
    return changed, wrong


def test_most_wrong_labels_are_found_and_few_others() -> None:
    pixels, labels = digits()
    labels, wrong = with_wrong_labels(labels, 90)
    errors = find(pixels, labels)
    assert np.isin(wrong, errors.indices).mean() > 0.9
    assert np.isin(errors.indices, wrong).mean() > 0.8


def test_images_beyond_the_references_are_judged_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_errors, "_MAX_REFERENCES", 600)
    monkeypatch.setattr(label_errors, "_CHUNK", 500)
    pixels, labels = digits()
    labels, wrong = with_wrong_labels(labels, 90)
    errors = find(pixels, labels)
    assert np.isin(wrong, errors.indices).mean() > 0.8
    assert np.isin(errors.indices, wrong).mean() > 0.7


def test_features_are_asked_for_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_errors, "_MAX_REFERENCES", 600)
    monkeypatch.setattr(label_errors, "_CHUNK", 500)
    pixels, labels = digits()
    asked: list[int] = []

    def features(rows: np.ndarray) -> np.ndarray:
        asked.append(len(rows))
        return pixels[rows]

    label_errors.find_cross_validated_label_errors(features, labels)
    assert max(asked) <= 600 + 10 * label_errors.MIN_CLASS_SIZE


def test_the_true_label_is_suggested_and_the_most_probable_errors_come_first() -> None:
    pixels, labels = digits()
    true = labels.copy()
    labels[[0, 7]] = (labels[[0, 7]] + 1) % 10
    errors = find(pixels, labels)
    found = dict(zip(errors.indices.tolist(), errors.suggested.tolist(), strict=True))
    assert [found[0], found[7]] == [true[0], true[7]]
    assert {0, 7} & set(errors.indices[:2].tolist())


def test_correct_labels_are_rarely_reported() -> None:
    assert len(find(*digits()).indices) < 20


def test_a_class_of_three_images_makes_no_others_suspect() -> None:
    pixels, labels = digits()
    kept = np.concatenate([np.flatnonzero(labels != 8), np.flatnonzero(labels == 8)[:3]])
    errors = find(pixels[kept], labels[kept])
    assert len(errors.indices) < 20
    assert not (labels[kept][errors.indices] == 8).any()
    assert 8 not in errors.suggested


def test_a_rare_class_makes_few_others_suspect() -> None:
    pixels, labels = digits()
    kept = np.concatenate([np.flatnonzero(labels != 8), np.flatnonzero(labels == 8)[:15]])
    assert len(find(pixels[kept], labels[kept]).indices) < 25


def test_nothing_is_found_where_one_class_alone_has_enough_images() -> None:
    pixels, labels = digits()
    kept = np.concatenate([np.flatnonzero(labels == 1), np.flatnonzero(labels == 8)[:4]])
    assert len(find(pixels[kept], labels[kept]).indices) == 0


def test_probabilities_of_many_classes_are_in_memory_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_errors, "_INVERSE_STRENGTHS", (0.3,))
    generator, labels = np.random.default_rng(0), np.repeat(np.arange(210), 10)
    features = generator.normal(size=(210, 8)).astype(np.float32)[labels]
    features += generator.normal(size=features.shape).astype(np.float32)
    probabilities = labels.size * 210 * 8
    tracemalloc.start()
    find(features, labels)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * probabilities
