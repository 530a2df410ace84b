"""Coverage and size of prediction sets, in all and by class."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_predict
from sklearn.naive_bayes import GaussianNB

from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.set_coverage import calibration_coverage, set_coverage


def predictions(labels: np.ndarray, probabilities: np.ndarray) -> Predictions:
    classes = probabilities.shape[1]
    names = [str(number) for number in range(len(labels))]
    return Predictions(tuple("0123456789"[:classes]), names, names, labels, probabilities)


def test_the_classes_with_the_lowest_coverage_come_first() -> None:
    predicted = predictions(np.array([0, 0, 1, 1]), np.full((4, 3), 1 / 3))
    sets = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 1]], bool)
    coverage = set_coverage(predicted, sets, 0.9)
    assert coverage.coverage.value == 0.75
    assert (coverage.mean_size, coverage.empty, coverage.single) == (1.5, 0.25, 0.25)
    assert [(each.name, each.images, each.mean_size) for each in coverage.by_class] == [
        ("1", 2, 1.5),
        ("0", 2, 1.5),
    ]
    assert [each.coverage.value for each in coverage.by_class] == [0.5, 1.0]


def test_the_coverage_of_calibration_images_is_that_of_their_level() -> None:
    x, y = load_digits(return_X_y=True)
    probabilities = cross_val_predict(GaussianNB(), x + 1e-3, y, cv=5, method="predict_proba")
    coverage = calibration_coverage(predictions(y, probabilities), 0.9)
    assert coverage is not None
    assert coverage.coverage.value == pytest.approx(0.9, abs=0.005)
    assert coverage.expected == pytest.approx((0.886, 0.913), abs=0.001)
    assert len(coverage.by_class) == 10


def test_a_level_that_has_too_few_images_is_left_out() -> None:
    assert calibration_coverage(predictions(np.zeros(9, int), np.full((9, 2), 0.5)), 0.9) is None
