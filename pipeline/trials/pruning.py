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
        others: the metric after each epoch of earlier trials; those with fewer epochs than the
            trial are not compared with. Without any, no trial is stopped.
        metric: the name of the metric.
        direction: whether larger or smaller is better.
    """

    others: tuple[tuple[float, ...], ...]
    metric: str
    direction: Direction

    def __call__(self, rows: Sequence[EpochMetrics]) -> bool:
        """Return whether the best epoch so far is worse than the median of the others'.

        Args:
            rows: the metrics of each epoch of the trial.
        """
        count = len(rows)
        as_far = [other[:count] for other in self.others if len(other) >= count]
        if len(as_far) < _MIN_TRIALS or count < _MIN_EPOCHS:
            return False
        best = max if self.direction == "max" else min
        median = statistics.median(best(other) for other in as_far)
        return is_better(median, best(row[self.metric] for row in rows), self.direction)
