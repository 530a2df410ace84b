"""The metrics over folds."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation import intervals
from pipeline.evaluation.cross_validation import CrossValidation, FoldOutcome


def outcome(number: int, accuracy: float | None) -> FoldOutcome:
    metrics = {"accuracy": accuracy, "accuracy_low": 0.5, "recall/ants": 1.0} if accuracy else {}
    divergence = "" if accuracy else "The loss became nan."
    return FoldOutcome(number, 40, 2, metrics, [], [], 0.0, 1.0, divergence)


def test_the_metrics_are_means_with_corrected_intervals() -> None:
    values = [0.9, 0.94, 0.92, 0.96, 0.88]
    result = CrossValidation(5, 1, 200, [outcome(i, v) for i, v in enumerate(values, start=1)])
    assert set(result.metrics) == {
        f"cv_accuracy_{each}" for each in ("mean", "std", "mean_low", "mean_high")
    }
    std = np.std(values, ddof=1)
    margin = 2.776445 * std * (1 / 5 + 1 / 4) ** 0.5  # t with four degrees of freedom
    assert result.metrics["cv_accuracy_mean"] == pytest.approx(0.92)
    assert result.metrics["cv_accuracy_std"] == pytest.approx(std)
    assert result.metrics["cv_accuracy_mean_low"] == pytest.approx(0.92 - margin)
    assert result.metrics["cv_accuracy_mean_high"] == pytest.approx(min(0.92 + margin, 1.0))
    assert str(result) == "5 folds"


def test_a_fold_that_diverged_is_in_no_mean() -> None:
    values = [0.9, None, 0.8]
    result = CrossValidation(3, 1, 120, [outcome(i, v) for i, v in enumerate(values, start=1)])
    assert result.summaries["accuracy"].mean == pytest.approx(0.85)
    assert str(result) == "2 of 3 folds; fold 2 diverged"


def test_more_repeats_make_the_interval_narrower_only_so_far() -> None:
    values = np.tile([0.88, 0.9, 0.92], 1000)
    corrected = intervals.summarize_folds(values, test_to_train=0.5, limits=(0.0, 1.0))
    naive = intervals.summarize_runs(values, limits=(0.0, 1.0))
    assert corrected.mean_high - corrected.mean > 20 * (naive.mean_high - naive.mean)
