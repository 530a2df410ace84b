"""Whether a metric is better when it is larger or when it is smaller."""

from __future__ import annotations

from typing import Literal

Direction = Literal["max", "min"]

_MINIMIZED = ("loss", "log_loss", "ece")


def metric_direction(metric: str) -> Direction:
    """Return the direction in which a metric improves, such as `min` for `val_log_loss`."""
    return "min" if metric.removeprefix("val_") in _MINIMIZED else "max"


def is_better(value: float, than: float, direction: Direction) -> bool:
    """Return whether a value is an improvement."""
    return value > than if direction == "max" else value < than
