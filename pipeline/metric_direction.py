"""Whether a metric is better when it is larger or when it is smaller."""

from __future__ import annotations

from typing import Literal

Direction = Literal["max", "min"]

# Of each metric of a split. Those of a class and top-k accuracies are maximized.
DIRECTIONS: dict[str, Direction] = {
    "accuracy": "max",
    "balanced_accuracy": "max",
    "log_loss": "min",
    "ece": "min",
    "roc_auc": "max",
}


def metric_direction(metric: str) -> Direction:
    """Return the direction in which a metric improves, such as `min` for `val_log_loss`."""
    return DIRECTIONS.get(metric.removeprefix("val_"), "max")


def is_better(value: float, than: float, direction: Direction) -> bool:
    """Return whether a value is an improvement."""
    return value > than if direction == "max" else value < than
