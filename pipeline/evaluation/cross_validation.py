"""The result of cross-validation: what became of each fold, and the metrics over them.

In `cv_NAME_mean` and `cv_NAME_std` are the mean and the standard deviation of a metric over folds.
`cv_NAME_mean_low` to `cv_NAME_mean_high` is the 95 % interval of the mean.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.intervals import RunSummary, summarize_folds
from pipeline.evaluation.metrics import metric_limits, overall_metrics_of_all


@dataclass(frozen=True)
class FoldOutcome:
    """A model that was trained on a fold, and judged by images that it had not seen.

    Attributes:
        number: of the fold, from 1, over all repeats.
        images: the number of images that judged it.
        best_epoch: the epoch whose weights it had; None without validation images: the last one.
        metrics: as `classification_metrics` returns them; empty if training diverged.
        rows: the metrics of each epoch.
        times: when each epoch ended, in seconds since 1970.
        started: in seconds since 1970.
        seconds: the duration.
        divergence: how training diverged, if it did before there was a model to judge, else empty.
    """

    number: int
    images: int
    best_epoch: int | None
    metrics: dict[str, float]
    rows: Sequence[dict[str, float]]
    times: Sequence[float]
    started: float
    seconds: float
    divergence: str = ""


@dataclass(frozen=True)
class CrossValidation:
    """The outcomes of all folds, two or more of which have metrics.

    Attributes:
        count: the number of folds in a repeat.
        repeats: how often the images were divided.
        images: the number of images that were divided.
        outcomes: of each fold.
    """

    count: int
    repeats: int
    images: int
    outcomes: Sequence[FoldOutcome]

    @property
    def finished(self) -> list[FoldOutcome]:
        """The folds that have metrics."""
        return [outcome for outcome in self.outcomes if outcome.metrics]

    @functools.cached_property
    def summaries(self) -> dict[str, RunSummary]:
        """The mean, the spread and the interval of each overall metric that all folds have."""
        folds = [fold.metrics for fold in self.finished]
        return {
            name: summarize_folds(
                np.array([metrics[name] for metrics in folds]),
                test_to_train=1 / (self.count - 1),
                limits=metric_limits(f"val_{name}"),
            )
            for name in overall_metrics_of_all(folds)
        }

    @property
    def metrics(self) -> dict[str, float]:
        """The summaries by the names of their metrics in MLflow."""
        return {
            f"cv_{name}_{statistic}": value
            for name, summary in self.summaries.items()
            for statistic, value in dataclasses.asdict(summary).items()
        }

    def shown(self, names: Sequence[str]) -> list[str]:
        """Return which of some metrics all folds have."""
        return [name for name in names if name in self.summaries]

    def __str__(self) -> str:
        """Return such as `4 of 5 folds; fold 3 diverged` or `5 folds, 2 times`."""
        diverged = [str(fold.number) for fold in self.outcomes if not fold.metrics]
        if diverged:
            noun = "fold" if len(diverged) == 1 else "folds"
            counted = f"{len(self.finished)} of {len(self.outcomes)} folds"
            return f"{counted}; {noun} {', '.join(diverged)} diverged"
        return f"{self.count} folds" + (f", {self.repeats} times" if self.repeats > 1 else "")
