"""Weights of classes, against those of scikit-learn."""

from __future__ import annotations

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from pipeline.training.class_weights import class_weights, unknown_class

NAMES = ("ants", "bees", "wasps")
COUNTS = np.array([80, 15, 5])
LABELS = np.repeat([0, 1, 2], COUNTS)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    weights = class_weights("balanced", COUNTS, NAMES)
    assert weights is not None
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_a_class_without_images_does_not_count_among_the_classes() -> None:
    weights = class_weights("balanced", np.array([80, 0, 20]), NAMES)
    assert weights is not None
    np.testing.assert_allclose(weights[[0, 2]], [100 / (2 * 80), 100 / (2 * 20)], rtol=1e-6)


def test_given_weights_keep_their_ratio_and_have_a_mean_of_1_over_the_images() -> None:
    weights = class_weights({"wasps": 6.0, "bees": 2.0}, COUNTS, NAMES)
    assert weights is not None
    np.testing.assert_allclose(weights / weights[0], [1, 2, 6], rtol=1e-6)
    np.testing.assert_allclose(weights[LABELS].mean(), 1, rtol=1e-6)


def test_there_are_no_weights_unless_asked_for() -> None:
    assert class_weights("none", COUNTS, NAMES) is None


def test_a_name_that_is_no_class_is_found() -> None:
    assert unknown_class("balanced", NAMES) is None
    assert unknown_class({"ants": 2.0}, NAMES) is None
    assert unknown_class({"ants": 2.0, "wasp": 2.0}, NAMES) == (
        "wasp",
        "the data has no such class. Available: ants, bees, wasps. Did you mean 'wasps'?",
    )
