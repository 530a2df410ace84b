"""Metrics of estimated numbers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from pipeline.evaluation.number_metrics import number_metric, number_metrics, rmse_difference

GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.normal(40, 10, 200)
ESTIMATES = LABELS + GENERATOR.normal(0, 4, 200)


def test_metrics_are_those_of_scikit_learn() -> None:
    values = number_metrics(LABELS, ESTIMATES)
    assert values["mae"] == pytest.approx(metrics.mean_absolute_error(LABELS, ESTIMATES))
    assert values["mse"] == pytest.approx(metrics.mean_squared_error(LABELS, ESTIMATES))
    assert values["rmse"] == pytest.approx(values["mse"] ** 0.5)
    assert values["r2"] == pytest.approx(metrics.r2_score(LABELS, ESTIMATES))
    assert all(number_metric(name, LABELS, ESTIMATES) == values[name] for name in ("mae", "r2"))


def test_intervals_contain_the_truth_as_often_as_they_say() -> None:
    """Of errors with a standard deviation of 4, the RMSE is 4."""
    covered = 0
    for seed in range(40):
        errors = np.random.default_rng(seed).normal(0, 4, 200)
        values = number_metrics(LABELS, LABELS + errors)
        covered += values["rmse_low"] <= 4 <= values["rmse_high"]
    assert covered >= 34


def test_r2_is_undefined_for_equal_labels() -> None:
    assert "r2" not in number_metrics(np.ones(3), np.arange(3.0))
    assert number_metric("r2", np.ones(3), np.arange(3.0)) is None


def test_resamples_of_equal_labels_are_left_out_of_an_interval() -> None:
    labels = np.repeat([0.0, 1.0], [11, 2])  # 11 % of the resamples have no 1
    values = number_metrics(labels, labels + np.linspace(-0.1, 0.1, 13))
    assert values["r2_low"] < values["r2"] < values["r2_high"] < 1


def test_the_difference_of_two_models_is_paired() -> None:
    first = np.abs(ESTIMATES - LABELS)
    difference = rmse_difference(first, 0.9 * first)
    rmse = number_metrics(LABELS, ESTIMATES)["rmse"]
    assert difference.value == pytest.approx(-0.1 * rmse)
    assert difference.high < 0
    assert difference.high - difference.low < 0.03 * rmse  # unpaired, it would be 0.25
