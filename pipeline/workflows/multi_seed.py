"""From a recipe to several runs of it that differ in their seed: how much of a figure is luck."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.evaluation.intervals import spread_over_runs
from pipeline.recipe.loader import LoadedRecipe, load_recipe, run_parameters
from pipeline.secrets import mask_secrets
from pipeline.shutdown import graceful_shutdown
from pipeline.stages.log_run import log_failure, log_interruption
from pipeline.tracking import run_logger as recording
from pipeline.tracking.store import open_store
from pipeline.workflows.single_run import RunResult, run

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from pipeline.evaluation.intervals import Spread


@dataclass(frozen=True)
class SeedsResult:
    """What came of several runs of a recipe.

    Attributes:
        parent_run_id: the run in MLflow that they are under.
        name: the recipe's name.
        tracking_uri: the store that they are in.
        metrics: the mean of each final metric, its standard deviation between the runs, and the
            95 % interval of the mean, by name.
        runs: what came of each, in the order of their seeds.
    """

    parent_run_id: str
    name: str
    tracking_uri: str
    metrics: dict[str, Spread]
    runs: list[RunResult]


def run_seeds(path: Path, overrides: tuple[str, ...], count: int) -> SeedsResult:
    """Run a recipe with its own seed and those that follow it.

    Args:
        path: the recipe's file.
        overrides: `--set` arguments.
        count: how many seeds, two or more.

    Raises:
        PipelineError: if one of the runs fails; it and the run that they are under are FAILED.
        KeyboardInterrupt: if it is interrupted; in MLflow both are KILLED.
    """
    first = load_recipe(path, overrides)
    seeds = range(first.recipe.seed, first.recipe.seed + count)
    recipes = [load_recipe(path, (*overrides, f"seed={seed}")) for seed in seeds]
    recipe = first.recipe
    name = mask_secrets(recipe.name, first.secrets)
    parent = recording.start_run(
        open_store(recipe.tracking.uri),
        experiment=mask_secrets(recipe.tracking.experiment or recipe.name, first.secrets),
        name=f"{name}, {count} seeds",
        description=mask_secrets(recipe.description, first.secrets),
    )
    with graceful_shutdown(lambda: log_interruption(parent)):
        try:
            shown = run_parameters(recipe, first.secrets)
            parent.parameters({**shown, "seed": f"{seeds[0]} to {seeds[-1]}"})
            runs = [_run(loaded, seeds, parent.run_id) for loaded in recipes]
            metrics = _spreads(runs)
            parent.metrics(_flat(metrics))
        except Exception as error:
            log_failure(error, parent)
            raise
        parent.close("FINISHED")
    return SeedsResult(parent.run_id, name, parent.uri, metrics, runs)


def _run(loaded: LoadedRecipe, seeds: range, parent: str) -> RunResult:
    seed = loaded.recipe.seed
    logger.info(f"Seed {seed}, {seeds.index(seed) + 1} of {len(seeds)}")
    return run(loaded, parent=parent)


def _spreads(runs: list[RunResult]) -> dict[str, Spread]:
    """Return the spread of every final metric that all runs have, but for those of classes."""
    names = [
        name
        for name in runs[0].metrics
        if "/" not in name
        and not name.endswith(("_low", "_high"))
        and all(name in each.metrics for each in runs)
    ]
    return {
        name: spread_over_runs(np.array([each.metrics[name] for each in runs])) for name in names
    }


def _flat(metrics: dict[str, Spread]) -> dict[str, float]:
    """Return each spread as the metrics `{name}`, which is the mean, `_std`, `_low` and `_high`."""
    found: dict[str, float] = {}
    for name, spread in metrics.items():
        for figure, value in dataclasses.asdict(spread).items():
            found[name if figure == "mean" else f"{name}_{figure}"] = value
    return found
