"""Which trials to stop early: the median stopping rule (Golovin et al., 2017)."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.metric_direction import Direction, is_better

EpochMetrics = dict[str, float]  # of one epoch, by name

_MIN_TRIALS = 5  # to compare with
_MIN_EPOCHS = 3  # before a trial may be stopped


@dataclass(frozen=True)
class StoppingRule:
    """Decides from the metrics of each epoch so far whether to stop a trial.

    Attributes:
        others: the metrics of each epoch of earlier trials.
        metric: the metric to compare, None for a rule that never stops a trial.
        direction: whether larger or smaller is better.
    """

    others: tuple[Sequence[EpochMetrics], ...]
    metric: str | None
    direction: Direction

    def __call__(self, rows: Sequence[EpochMetrics]) -> bool:
        if self.metric is None:
            return False
        return is_behind(rows, self.others, metric=self.metric, direction=self.direction)


def is_behind(
    rows: Sequence[EpochMetrics],
    others: Sequence[Sequence[EpochMetrics]],
    *,
    metric: str,
    direction: Direction,
) -> bool:
    """Return whether the best epoch so far is worse than the median of the others'.

    Args:
        rows: the metrics of each epoch of the trial.
        others: the same for earlier trials; those with fewer epochs are left out.
        metric: the metric to compare.
        direction: whether larger or smaller is better.
    """
    count = len(rows)
    as_far = [other[:count] for other in others if len(other) >= count]
    if len(as_far) < _MIN_TRIALS or count < _MIN_EPOCHS:
        return False
    best = max if direction == "max" else min
    best_scores = [best(row[metric] for row in other) for other in as_far]
    return is_better(statistics.median(best_scores), best(row[metric] for row in rows), direction)
