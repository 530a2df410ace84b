"""Learning rates by step, compared with the formulas."""

from __future__ import annotations

import math
from typing import Any

import keras
import pytest
from pydantic import TypeAdapter, ValidationError

from pipeline.config import unwrap_single_key
from pipeline.training import schedules

STEPS, EPOCHS, PEAK = 10, 4, 0.8


def rate_at(step: int, entry: dict[str, Any]) -> float:
    _, schedule = unwrap_single_key(TypeAdapter(schedules.Schedule).validate_python(entry))
    rate = schedules.learning_rate(schedule, PEAK, steps_per_epoch=STEPS, epochs=EPOCHS)
    return float(rate(step)) if callable(rate) else rate


@pytest.mark.parametrize(
    ("entry", "step", "expected"),
    [
        ({"constant": {}}, 39, PEAK),
        ({"cosine": {}}, 0, PEAK),
        ({"cosine": {}}, 20, PEAK / 2),
        ({"cosine": {}}, 40, 0.0),
        ({"cosine": {"alpha": 0.1}}, 40, PEAK * 0.1),
        ({"cosine": {}}, 10, PEAK * (1 + math.cos(math.pi / 4)) / 2),
        ({"exponential": {"decay_rate": 0.5}}, 10, PEAK * 0.5),
        ({"exponential": {"decay_rate": 0.5}}, 5, PEAK * 0.5**0.5),
        ({"exponential": {"decay_rate": 0.5, "staircase": True}}, 19, PEAK * 0.5),
        ({"piecewise": {"boundaries": [1, 3], "factors": [0.5, 0.1]}}, 9, PEAK),
        ({"piecewise": {"boundaries": [1, 3], "factors": [0.5, 0.1]}}, 10, PEAK * 0.5),
        ({"piecewise": {"boundaries": [1, 3], "factors": [0.5, 0.1]}}, 30, PEAK * 0.1),
        ({"piecewise": {"warmup": 1, "boundaries": [2], "factors": [0.5]}}, 19, PEAK),
        ({"piecewise": {"warmup": 1, "boundaries": [2], "factors": [0.5]}}, 20, PEAK * 0.5),
        ({"plateau": {}}, 39, PEAK),
    ],
)
def test_the_learning_rate_follows_the_schedule(
    entry: dict[str, Any], step: int, expected: float
) -> None:
    assert rate_at(step, entry) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("step", "expected"), [(0, PEAK / 11), (4, PEAK * 5 / 11), (10, PEAK), (25, PEAK / 2)]
)
def test_a_warmup_increases_linearly_before_the_schedule(step: int, expected: float) -> None:
    assert rate_at(step, {"cosine": {"warmup": 1.0}}) == pytest.approx(expected, rel=1e-5)


def test_a_plateau_is_a_keras_callback() -> None:
    plateau = schedules.PlateauSchedule(factor=0.3, patience=2, min_lr=0.01)
    (callback,) = schedules.callbacks(plateau, loss_metric="val_mse")
    assert isinstance(callback, keras.callbacks.ReduceLROnPlateau)
    assert (callback.monitor, callback.factor, callback.patience) == ("val_mse", 0.3, 2)
    assert callback.min_lr == 0.01


def test_each_boundary_needs_a_factor() -> None:
    with pytest.raises(ValidationError, match="increasing boundaries and one factor for each"):
        schedules.PiecewiseSchedule(boundaries=(1.0, 2.0), factors=(0.5,))


def test_boundaries_must_increase() -> None:
    with pytest.raises(ValidationError, match="increasing boundaries and one factor for each"):
        schedules.PiecewiseSchedule(boundaries=(2.0, 1.0), factors=(0.5, 0.1))
