"""The direction in which metrics improve."""

from __future__ import annotations

import pytest

from pipeline.metric_direction import Direction, is_better, metric_direction


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("val_log_loss", "min"),
        ("val_ece", "min"),
        ("val_accuracy", "max"),
        ("val_top_3_accuracy", "max"),
        ("val_recall/ants", "max"),
    ],
)
def test_losses_and_calibration_errors_are_minimized(metric: str, direction: Direction) -> None:
    assert metric_direction(metric) == direction


def test_an_equal_value_is_no_improvement() -> None:
    assert is_better(2.0, 1.0, "max")
    assert not is_better(2.0, 1.0, "min")
    assert not is_better(1.0, 1.0, "max")
    assert not is_better(1.0, 1.0, "min")
