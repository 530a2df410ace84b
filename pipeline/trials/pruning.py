"""Which trials cannot win: the median stopping rule (Golovin et al., 2017)."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.metric_direction import Direction, is_better

EpochMetrics = dict[str, float]

_FEWEST_TRIALS = 5  # to compare with
_FEWEST_EPOCHS = 3  # to be judged by


@dataclass(frozen=True)
class StoppingRule:
    """Says of a trial's epochs so far whether it cannot win any more.

    Attributes:
        others: the metrics by epoch of earlier trials.
        metric: what is compared, None for a rule that never stops a trial.
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
    """Return whether the best epoch so far is worse than the median of others' by then.

    Args:
        rows: the metrics by epoch of the trial in question.
        others: the same of earlier trials; those that came as far count.
        metric: what is compared.
        direction: whether larger or smaller is better.
    """
    count = len(rows)
    as_far = [other[:count] for other in others if len(other) >= count]
    if len(as_far) < _FEWEST_TRIALS or count < _FEWEST_EPOCHS:
        return False
    best = max if direction == "max" else min
    reached = [best(row[metric] for row in other) for other in as_far]
    return is_better(statistics.median(reached), best(row[metric] for row in rows), direction)
