"""One trial: a recipe with other values, trained and judged on the validation images."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pipeline.errors import DivergedError, PipelineError, first_line
from pipeline.metric_direction import metric_direction

if TYPE_CHECKING:
    from pipeline.recipe.grammar import Recipe
    from pipeline.trials.trial_trainer import TrialTrainer

State = Literal["FINISHED", "FAILED", "KILLED"]
EpochMetrics = dict[str, float]

# Objectives that can be followed by epoch, and so be used to end a trial early.
BY_EPOCH = ("val_accuracy", "val_loss")


@dataclass(frozen=True)
class TrialOutcome:
    """What came of a trial.

    Attributes:
        state: FINISHED, or FAILED with a reason.
        score: the objective, the mean over executions; None where the trial failed.
        scores: the objective of each execution.
        metrics: the first execution's metrics of the validation images, as a run's.
        rows: the first execution's metrics by epoch.
        times: when each epoch ended, in seconds since 1970.
        seconds: how long the trial took.
        pruned_at: the epoch after which it was ended early, None where it was not.
        kind: of failure; trials that fail in the same way have the same.
        reason: of the failure, in full.
    """

    state: State
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
    def spread(self) -> float:
        """The standard deviation of the objective over executions, 0 for one."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else 0.0


class _PrunedError(Exception):
    """The trial cannot win."""


def run_trial(
    recipe: Recipe,
    bench: TrialTrainer,
    *,
    objective: str,
    executions: int,
    should_stop: Callable[[Sequence[EpochMetrics]], bool],
) -> TrialOutcome:
    """Train a recipe as a run does, judge it on the validation images, and never raise.

    The metrics are those of `pipeline run` with this recipe: the weights start, the images come and
    the epoch is chosen in the same way. Nothing is logged, drawn or saved.

    Args:
        recipe: of the trial.
        bench: what trials share.
        objective: the metric that counts.
        executions: trainings, from the recipe's seed and those after it.
        should_stop: is asked after each epoch of the first execution, with the epochs so far.

    Raises:
        KeyboardInterrupt: if it is interrupted.
    """
    started = time.perf_counter()
    rows: list[EpochMetrics] = []
    times: list[float] = []

    def first(epoch: int, row: EpochMetrics, seconds: float) -> None:
        rows.append({**row, "seconds": seconds})
        times.append(time.time())
        if should_stop(rows):
            raise _PrunedError

    def later(epoch: int, row: EpochMetrics, seconds: float) -> None:
        pass

    scores: list[float] = []
    metrics: dict[str, float] = {}
    pruned_at = None
    try:
        for execution in range(executions):
            seeded = recipe.model_copy(update={"seed": recipe.seed + execution})
            found = bench.validation_metrics(seeded, on_epoch=later if execution else first)
            metrics = metrics or found
            scores.append(_score(objective, found))
    except _PrunedError:
        pruned_at = len(rows)
        best = {"min": min, "max": max}[metric_direction(objective)](row[objective] for row in rows)
        scores = [float(best)]
    except Exception as error:  # a trial may fail in any way, and the search goes on
        kind, reason = _explained(error)
        return TrialOutcome(
            "FAILED",
            rows=tuple(rows),
            times=tuple(times),
            seconds=time.perf_counter() - started,
            kind=kind,
            reason=reason,
        )
    return TrialOutcome(
        "FINISHED",
        score=statistics.fmean(scores),
        scores=tuple(scores),
        metrics=metrics,
        rows=tuple(rows),
        times=tuple(times),
        seconds=time.perf_counter() - started,
        pruned_at=pruned_at,
    )


def _score(objective: str, metrics: dict[str, float]) -> float:
    if objective not in metrics:
        raise PipelineError(
            f"tuning.objective: a run of this recipe has no metric '{objective}'. "
            f"Available: {', '.join(name for name in metrics if name.startswith('val_'))}."
        )
    return metrics[objective]


def _explained(error: Exception) -> tuple[str, str]:
    """Return the kind of a failure and its reason in words."""
    name = type(error).__name__
    if isinstance(error, MemoryError) or name == "ResourceExhaustedError":
        return "memory", f"Out of memory: {first_line(error, 500)}"
    if isinstance(error, DivergedError):
        return "diverged", str(error)
    if isinstance(error, PipelineError):
        return f"{name}: {str(error)[:40]}", str(error)
    return name, f"{name}: {first_line(error, 500)}"
