"""From a recipe to several runs that differ in their seed: how much of a metric is chance."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.intervals import RunSummary, summarize_runs
from pipeline.html_table import html_table
from pipeline.recipe.loader import LoadedRecipe, load_recipe, run_parameters
from pipeline.stages.tracked_run import tracked_run
from pipeline.tracking.store import open_store
from pipeline.workflows.run_result import RunResult
from pipeline.workflows.single_run import run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeedsResult:
    """The result of several runs of a recipe.

    Attributes:
        parent_run_id: the id of the MLflow run that they are under.
        name: the recipe's name.
        tracking_uri: the tracking store of the runs, without secrets.
        metrics: by name, the mean of each final metric, its standard deviation over the runs and
            the 95 % interval of the mean.
        runs: the result of each run, in the order of their seeds.
    """

    parent_run_id: str
    name: str
    tracking_uri: str
    metrics: dict[str, RunSummary]
    runs: list[RunResult]

    def __str__(self) -> str:
        lines = [f"{self.name}: {len(self.runs)} seeds"]
        width = max(len(name) for name in self.runs[0].main_metrics) + len("test_")
        for name in self.runs[0].main_metrics:
            for split in ("val", "test"):
                spread = self.metrics.get(f"{split}_{name}")
                if spread:
                    lines.append(
                        f"  {f'{split}_{name}':<{width}} mean {spread.mean:.4f} "
                        f"({spread.low:.3f} to {spread.high:.3f}), standard deviation "
                        f"{spread.std:.4f}"
                    )
        for single in self.runs:
            accuracies = [
                f"  {name} {single.metrics[name]:.4f}"
                for name in ("val_accuracy", "test_accuracy")
                if name in single.metrics
            ]
            lines.append(f"  run {single.run_id}{''.join(accuracies[:1])}")
        lines.append(f"  under {self.parent_run_id} in {self.tracking_uri}")
        lines.append("View them with: pipeline ui")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [
            (name, *(f"{value:.4f}" for value in (each.mean, each.low, each.high, each.std)))
            for name, each in self.metrics.items()
        ]
        title = f"{self.name}: {len(self.runs)} seeds"
        header = ("metric", "mean", "low", "high", "standard deviation")
        notes = (f"run {self.parent_run_id} in {self.tracking_uri}",)
        return html_table(title, header, rows, notes=notes)


def run_seeds(loaded: LoadedRecipe, count: int) -> SeedsResult:
    """Run a recipe with its own seed and those that follow it.

    Args:
        loaded: the recipe.
        count: the number of seeds, two or more.

    Raises:
        PipelineError: if one of the runs fails. It and the run that they are under are FAILED.
        KeyboardInterrupt: if one is interrupted. In MLflow both are KILLED.
    """
    recipe = loaded.recipe
    seeds = range(recipe.seed, recipe.seed + count)
    recipes = [load_recipe(loaded.path, (*loaded.overrides, f"seed={seed}")) for seed in seeds]
    store = open_store(recipe.tracking.uri, loaded.secrets)
    with tracked_run(
        store,
        experiment=recipe.tracking.experiment or recipe.name,
        name=f"{recipe.name}, {count} seeds",
        description=recipe.description,
    ) as tracked:
        parent = tracked.logger
        params = run_parameters(recipe, loaded.secrets)
        parent.log_params({**params, "seed": f"{seeds[0]} to {seeds[-1]}"})
        runs = []
        for index, seeded in enumerate(recipes, start=1):
            logger.info(f"Seed {seeded.recipe.seed}, {index} of {count}")
            runs.append(run(seeded, parent=parent.run_id))
        metrics = _spreads(runs)
        parent.log_metrics(
            {
                name if statistic == "mean" else f"{name}_{statistic}": value
                for name, spread in metrics.items()
                for statistic, value in dataclasses.asdict(spread).items()
            }
        )
    return SeedsResult(parent.run_id, runs[0].name, parent.uri, metrics, runs)


def _spreads(runs: Sequence[RunResult]) -> dict[str, RunSummary]:
    """Return the spread of each final metric that all runs have, except those of one class."""
    names = [
        name
        for name in runs[0].metrics
        if "/" not in name
        and not name.endswith(("_low", "_high"))
        and all(name in each.metrics for each in runs)
    ]
    return {name: summarize_runs(np.array([each.metrics[name] for each in runs])) for name in names}
