"""One trial: a recipe with other values, trained and evaluated on the validation split."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipeline.errors import DivergedError, PipelineError, first_line
from pipeline.metric_direction import metric_direction
from pipeline.recipe.grammar import Recipe
from pipeline.trials.pruning import EpochMetrics
from pipeline.trials.trial_trainer import TrialTrainer
from pipeline.tuning.tuning_config import TuningConfig

TrialState = Literal["FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True)
class TrialOutcome:
    """The outcome of a trial.

    Attributes:
        state: FINISHED, or FAILED with a reason.
        score: the objective, the mean over executions and folds; None where the trial failed.
        scores: the objective of each fold of each execution.
        metrics: the metrics of the first execution on the validation split, like those of a run, or
            their means over the folds.
        rows: the metrics of the first execution, or of its first fold, for each epoch.
        times: when each epoch ended, in seconds since 1970.
        seconds: the duration of the trial.
        pruned_at: the epoch after which it was stopped early, None if it was not.
        kind: of the failure, to recognize trials that fail in the same way.
        reason: the full message of the failure.
    """

    state: TrialState
    score: float | None = None
    scores: tuple[float, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    rows: tuple[EpochMetrics, ...] = ()
    times: tuple[float, ...] = ()
    seconds: float = 0.0
    pruned_at: int | None = None
    kind: str = ""
    reason: str = ""

    @property
    def spread(self) -> float | None:
        """The standard deviation of the objective over executions and folds, None for one."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else None


class _PrunedError(Exception):
    """The trial is stopped early."""


def run_trial(
    recipe: Recipe,
    trainer: TrialTrainer,
    tuning: TuningConfig,
    should_stop: Callable[[Sequence[EpochMetrics]], bool],
) -> TrialOutcome:
    """Train a recipe as a run does, and evaluate it on the validation split.

    The metrics are those of `pipeline run` with this recipe: weights, order of images and choice of
    the epoch are the same. Nothing is logged or saved. An exception is an outcome of the trial.

    Args:
        recipe: of the trial.
        trainer: of this process.
        tuning: of the search: the objective, and the number of trainings with consecutive seeds.
        should_stop: is called after each epoch of the first execution with the metrics of all
            epochs so far; if it returns True, the trial is stopped early.

    Raises:
        KeyboardInterrupt: if it is interrupted.
    """
    started = time.perf_counter()
    rows: list[EpochMetrics] = []
    times: list[float] = []
    scores: list[float] = []
    metrics: dict[str, float] = {}

    def on_epoch(epoch: int, row: EpochMetrics, seconds: float) -> None:
        if scores:  # it is not the first execution
            return
        rows.append({**row, "seconds": seconds})
        times.append(time.time())
        if should_stop(rows):
            raise _PrunedError

    try:
        for execution in range(tuning.executions_per_trial):
            seeded = recipe.model_copy(update={"seed": recipe.seed + execution})
            evaluations = trainer.evaluate(
                seeded, on_epoch=on_epoch, epoch_metrics=(tuning.objective,)
            )
            metrics = metrics or _mean_of(evaluations)
            scores.extend(_score(tuning.objective, each) for each in evaluations)
        outcome = TrialOutcome("FINISHED", statistics.fmean(scores), tuple(scores), metrics)
    except _PrunedError:
        # That of the epoch which a run of so many epochs would have chosen.
        score = _best_row(rows, recipe)[tuning.objective]
        outcome = TrialOutcome("FINISHED", score, (score,), pruned_at=len(rows))
    except Exception as error:  # a failed trial does not end the search
        kind, reason = _describe(error)
        outcome = TrialOutcome("FAILED", kind=kind, reason=reason)
    seconds = time.perf_counter() - started
    return dataclasses.replace(outcome, rows=tuple(rows), times=tuple(times), seconds=seconds)


def _best_row(rows: Sequence[EpochMetrics], recipe: Recipe) -> EpochMetrics:
    """Return the metrics of the best epoch; of equal ones, of that with the lowest loss."""
    sign = 1 if metric_direction(recipe.monitor) == "min" else -1
    return min(rows, key=lambda row: (sign * row[recipe.monitor], row[recipe.loss_metric]))


def _mean_of(evaluations: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each metric that all evaluations have."""
    return {
        name: statistics.fmean(each[name] for each in evaluations)
        for name in evaluations[0]
        if all(name in each for each in evaluations)
    }


def _score(objective: str, metrics: dict[str, float]) -> float:
    if objective not in metrics:
        raise PipelineError(
            f"tuning.objective: a run of this recipe has no metric '{objective}'. "
            f"Available: {', '.join(name for name in metrics if name.startswith('val_'))}."
        )
    return metrics[objective]


def _describe(error: Exception) -> tuple[str, str]:
    """Return the kind and the reason of a failure."""
    name = type(error).__name__
    if isinstance(error, MemoryError) or name == "ResourceExhaustedError":
        return "memory", f"Out of memory: {first_line(error, 500)}"
    if isinstance(error, DivergedError):
        return "diverged", str(error)
    if isinstance(error, PipelineError):
        return f"{name}: {str(error)[:40]}", str(error)
    return name, f"{name}: {first_line(error, 500)}"
