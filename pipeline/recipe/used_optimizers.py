"""The optimizers and the schedules of the phases of a recipe, with the paths of their keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pipeline.config import Config, KeyPath
from pipeline.recipe.grammar import Recipe
from pipeline.training.optimizers import OptimizerConfig

_FINE_TUNE: KeyPath = ("training", "fine_tune")


class UsedOptimizer(NamedTuple):
    """The section of an optimizer, and its path."""

    path: KeyPath
    config: OptimizerConfig


class UsedSchedule(NamedTuple):
    """The schedule of a phase.

    Attributes:
        path: of its key.
        entry: its value, a single key.
        learning_rate: that it starts from.
        epochs: of the phase.
        epochs_path: of their key.
    """

    path: KeyPath
    entry: Config
    learning_rate: float
    epochs: int
    epochs_path: KeyPath


def used_optimizers(recipe: Recipe) -> Iterator[UsedOptimizer]:
    """Yield the sections that describe an optimizer."""
    yield UsedOptimizer(("optimizer",), recipe.optimizer)
    fine_tune = recipe.training.fine_tune
    if fine_tune and fine_tune.optimizer:
        yield UsedOptimizer((*_FINE_TUNE, "optimizer"), fine_tune.optimizer)
    for i, optimizer in enumerate(recipe.training.compare_optimizers):
        yield UsedOptimizer(("training", "compare_optimizers", i), optimizer)


def used_schedules(recipe: Recipe) -> Iterator[UsedSchedule]:
    """Yield the schedules of the phases that have one."""
    phases = [(("optimizer",), recipe.optimizer, recipe.training.epochs, ("training", "epochs"))]
    fine_tune = recipe.training.fine_tune
    if fine_tune:
        path = (*_FINE_TUNE, "optimizer") if fine_tune.optimizer else _FINE_TUNE
        optimizer = fine_tune.optimizer_after(recipe.optimizer)
        phases.append((path, optimizer, fine_tune.epochs, (*_FINE_TUNE, "epochs")))  # type: ignore[arg-type]
    for path, optimizer, epochs, epochs_path in phases:
        if optimizer.schedule:
            rate = optimizer.learning_rate
            yield UsedSchedule((*path, "schedule"), optimizer.schedule, rate, epochs, epochs_path)
