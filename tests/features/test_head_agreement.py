"""Heads on a faster engine's features predict as heads on the original ones, or it is refused."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from pipeline.features.head_agreement import MAX_IMAGES, choose_images, compare_heads

DIGITS = load_digits()
PIXELS, LABELS = DIGITS.data.astype(np.float32), DIGITS.target


def test_equal_features_have_no_disagreements() -> None:
    indices = choose_images(LABELS)
    assert indices is not None
    compared = compare_heads(PIXELS[indices], PIXELS[indices], LABELS[indices])
    assert (compared.disagreements, compared.images) == (0, MAX_IMAGES)
    assert compared.is_sufficient


def test_an_error_that_no_head_notices_is_sufficient() -> None:
    indices = choose_images(LABELS)
    noise = np.random.default_rng(0).normal(0, 0.05, (MAX_IMAGES, 64))
    original = PIXELS[indices]
    assert compare_heads(original, original + noise, LABELS[indices]).is_sufficient


def test_features_without_information_are_refused() -> None:
    indices = choose_images(LABELS)
    original = PIXELS[indices]
    shuffled = np.random.default_rng(0).permutation(original)
    compared = compare_heads(original, shuffled, LABELS[indices])
    assert compared.disagreements > MAX_IMAGES / 2
    assert not compared.is_sufficient


def test_infinite_features_are_refused() -> None:
    indices = choose_images(LABELS)
    overflown = PIXELS[indices].copy()
    overflown[0, 0] = np.inf
    assert not compare_heads(PIXELS[indices], overflown, LABELS[indices]).is_sufficient


def test_images_are_of_the_most_frequent_classes() -> None:
    labels = np.repeat(np.arange(12), [3, 50, 40, 9, 9, 9, 9, 9, 9, 2, 30, 20])
    indices = choose_images(labels)
    assert indices is not None
    assert np.unique(labels[indices]).tolist() == [1, 2, 3, 4, 5, 6, 10, 11]
    assert np.bincount(labels[indices]).max() == 8


def test_heads_cannot_be_compared_with_few_images_of_each_class() -> None:
    assert choose_images(np.arange(100) // 3) is None
    assert choose_images(np.zeros(100, int)) is None
