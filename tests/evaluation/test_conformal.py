"""Prediction sets: thresholds by hand, and coverage over draws of calibration images."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pipeline.evaluation.conformal import (
    ConformalCalibration,
    calibrate,
    conformal_rank,
    leave_one_out_sets,
    prediction_sets,
)


def binary(likelihood: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and probabilities of images whose true class 0 has these probabilities."""
    first = np.array(likelihood)
    return np.zeros(len(first), int), np.stack([first, 1 - first], axis=1)


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return labels and cross-validated probabilities of the digits of scikit-learn."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import cross_val_predict
    from sklearn.naive_bayes import GaussianNB

    x, y = load_digits(return_X_y=True)
    return y, cross_val_predict(GaussianNB(), x + 1e-3, y, cv=5, method="predict_proba")


@pytest.mark.parametrize(
    ("images", "level", "rank"), [(9, 0.9, 9), (10, 0.9, 10), (99, 0.07, 7), (8, 0.9, 9)]
)
def test_the_rank_is_the_finite_sample_quantile(images: int, level: float, rank: int) -> None:
    assert conformal_rank(images, level) == rank


def test_a_threshold_is_the_probability_at_the_rank_from_above() -> None:
    calibration = calibrate(*binary([0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]))
    assert calibration.images == 9
    assert calibration.thresholds[0.5] == 0.7  # the fifth of nine
    assert calibration.thresholds[0.9] == 0.3  # the ninth
    assert max(calibration.thresholds) == 0.9  # 0.91 needs a tenth


def test_a_level_between_two_is_rounded_up() -> None:
    calibration = ConformalCalibration(9, {0.5: 0.7, 0.9: 0.3})
    assert [calibration.threshold(level) for level in (0.2, 0.5, 0.6, 0.9)] == [0.7, 0.7, 0.3, 0.3]


@pytest.mark.parametrize(
    ("level", "message"),
    [
        (0.95, "9 calibration examples allow 0.9 at most. Received: 0.95."),
        (1.0, "expected a number between 0 and 1. Received: 1."),
        (float("nan"), "expected a number between 0 and 1. Received: nan."),
    ],
)
def test_a_level_without_a_threshold_is_an_error(level: float, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ConformalCalibration(9, {0.5: 0.7, 0.9: 0.3}).threshold(level)


def test_a_set_can_have_several_classes_or_none() -> None:
    probabilities = np.array([[0.5, 0.4, 0.1], [0.34, 0.33, 0.33]])
    np.testing.assert_array_equal(
        prediction_sets(probabilities, 0.4), [[True, True, False], [False, False, False]]
    )


def test_sets_of_new_images_have_the_coverage_of_their_level() -> None:
    labels, probabilities = digits()
    generator, covered = np.random.default_rng(0), []
    for _ in range(100):
        order = generator.permutation(len(labels))
        known, new = order[:300], order[300:]
        threshold = calibrate(labels[known], probabilities[known]).threshold(0.9)
        sets = prediction_sets(probabilities[new], threshold)
        covered.append(sets[np.arange(len(new)), labels[new]].mean())
    assert np.mean(covered) == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("decimals", [1, 9], ids=["with ties", "without ties"])
def test_leaving_one_out_is_calibrating_without_it(decimals: int) -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 5, 40)
    probabilities = generator.dirichlet(np.ones(5), 40).round(decimals)
    sets = leave_one_out_sets(labels, probabilities, 0.8)
    assert sets is not None
    for image in range(len(labels)):
        others = np.arange(len(labels)) != image
        threshold = calibrate(labels[others], probabilities[others]).thresholds[0.8]
        np.testing.assert_array_equal(sets[image], probabilities[image] >= threshold)


def test_too_few_images_leave_nothing_to_calibrate_on_without_one() -> None:
    assert leave_one_out_sets(*binary([0.9] * 9), 0.9) is None
    assert leave_one_out_sets(*binary([0.9] * 10), 0.9) is not None
