"""From a recipe to several runs that differ in their seed: how much of a metric is chance."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.atomic_files import atomic_write
from pipeline.cluster.cluster import Lost
from pipeline.cluster.opening import open_cluster
from pipeline.errors import DataError, DivergedError, TrackingError, TrainingError, UsageError
from pipeline.evaluation.intervals import RunSummary, summarize_runs
from pipeline.evaluation.metrics import metric_limits, overall_metrics_of_all
from pipeline.html_table import html_table
from pipeline.recipe.loader import LoadedRecipe, load_recipe, run_parameters
from pipeline.stages import resume_checks
from pipeline.stages.register_model import RegisteredModel
from pipeline.stages.tracked_run import tracked_run
from pipeline.tracking.resumable_runs import SEEDS_FILE, find_resumable_run
from pipeline.tracking.store import checkpoint_directory, open_store
from pipeline.workflows.run_result import RunResult
from pipeline.workflows.seed_worker import SeedOutcome, make_seed_worker

logger = logging.getLogger(__name__)

_STATISTICS = ("mean", "std", "mean_low", "mean_high")


@dataclass(frozen=True)
class SeedsResult:
    """The result of several runs of a recipe.

    Attributes:
        parent_run_id: the id of the MLflow run that they are under.
        name: the recipe's name.
        tracking_uri: the tracking store of the runs, without secrets.
        metrics: by name, the mean of each final metric, its standard deviation over the runs and
            the 95 % interval of the mean.
        runs: the result of each run that finished, in the order of their seeds.
        diverged: the seeds whose training diverged, with the reason; they are in no mean.
    """

    parent_run_id: str
    name: str
    tracking_uri: str
    metrics: dict[str, RunSummary]
    runs: list[RunResult]
    diverged: dict[int, str]

    @property
    def title(self) -> str:
        """The name of the recipe, and how many of its seeds finished."""
        return f"{self.name}: {_count_seeds(len(self.runs), self.diverged)}"

    def __str__(self) -> str:
        lines = [self.title]
        width = max(len(name) for name in self.runs[0].main_metrics) + len("test_")
        for name in self.runs[0].main_metrics:
            for split in ("val", "test"):
                spread = self.metrics.get(f"{split}_{name}")
                if spread:
                    lines.append(
                        f"  {f'{split}_{name}':<{width}} mean {spread.mean:.4f} "
                        f"({spread.mean_low:.3f} to {spread.mean_high:.3f}), standard deviation "
                        f"{spread.std:.4f}"
                    )
        for single in self.runs:
            main = [
                f"  {name} {single.metrics[name]:.4f}"
                for name in (f"{split}_{single.main_metrics[0]}" for split in ("val", "test"))
                if name in single.metrics
            ]
            lines.append(f"  run {single.run_id}{''.join(main[:1])}")
        lines.append(f"  under {self.parent_run_id} in {self.tracking_uri}")
        lines.append("View them with: pipeline ui")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [
            (name, *(f"{getattr(each, statistic):.4f}" for statistic in _STATISTICS))
            for name, each in self.metrics.items()
        ]
        header = ("metric", *(statistic.replace("_", " ") for statistic in _STATISTICS))
        notes = (f"run {self.parent_run_id} in {self.tracking_uri}",)
        return html_table(self.title, header, rows, notes=notes)


def run_seeds(
    loaded: LoadedRecipe, count: int, *, workers: int = 1, resume: str | None = None
) -> SeedsResult:
    """Run a recipe with its own seed and those that follow it.

    A seed whose training diverges is counted, and the others are run. A failure for another reason
    would be that of every seed, and ends them all.

    Args:
        loaded: the recipe.
        count: the number of seeds, two or more.
        workers: the number of seeds that are trained at the same time on each machine of the
            recipe's `runtime.cluster`. On this machine alone, 1 trains them in this process.
        resume: the id of the interrupted run that they are under, or `latest`. Finished seeds are
            kept, an interrupted one resumes from its checkpoint.

    Raises:
        PipelineError: if one of the runs fails, or fewer than two finish because the others
            diverge. The run that they are under is FAILED.
        KeyboardInterrupt: if one is interrupted. In MLflow both are KILLED.
    """
    recipe = loaded.recipe
    seeds = range(recipe.seed, recipe.seed + count)
    recipes = [_recipe_of(loaded, seed) for seed in seeds]
    store = open_store(recipe.tracking.uri, loaded.secrets)
    experiment = recipe.tracking.experiment or recipe.name
    if resume:
        resume = find_resumable_run(
            store, resume, experiment=store.mask(experiment), has_seeds=True
        )
        resume_checks.check_same_recipe(checkpoint_directory(resume), loaded)
        _Progress.load(checkpoint_directory(resume)).check_count(count)
    with (
        open_cluster(recipe.runtime.cluster, workers=workers) as cluster,
        tracked_run(
            store,
            experiment=experiment,
            name=f"{recipe.name}, {count} seeds",
            description=recipe.description,
            resume=resume,
        ) as tracked,
    ):
        parent = tracked.logger
        directory = checkpoint_directory(parent.run_id)
        if not resume:
            resume_checks.save_origin(directory, loaded)
        progress = _Progress.load(directory) if resume else _Progress(directory, count)
        progress.save()
        command = resume_checks.resume_command(loaded, parent.run_id, seeds=count, workers=workers)
        tracked.on_stop = partial(_say_how_to_resume, command, progress)
        params = run_parameters(recipe, loaded.secrets)
        parent.log_params({**params, "seed": f"{seeds[0]} to {seeds[-1]}"})
        make_worker = partial(make_seed_worker, loaded, parent.run_id)
        for seeded, outcome in cluster.results(make_worker, _left(recipes, progress), retries=1):
            _note(outcome, seeded.recipe.seed, progress)
        runs, diverged = progress.results(), progress.diverged()
        if len(runs) < 2:
            raise _error_of(runs, diverged)
        metrics = _spreads(runs)
        parent.log_metrics(
            {
                f"{name}_{statistic}": value
                for name, spread in metrics.items()
                for statistic, value in dataclasses.asdict(spread).items()
            }
        )
        parent.log_metrics(
            {"seeds/finished": float(len(runs)), "seeds/diverged": float(len(diverged))}
        )
        if diverged:
            parent.set_tags({"seeds": _count_seeds(len(runs), diverged)})
        parent.end("FINISHED")
        shutil.rmtree(directory, ignore_errors=True)
    return SeedsResult(parent.run_id, runs[0].name, parent.uri, metrics, runs, diverged)


@dataclass
class _Progress:
    """What became of each seed so far, in a file of the directory of the run they are under.

    Attributes:
        directory: of the run.
        count: the number of seeds.
        seeds: by seed, as text, once it has ended: `result` or `diverged`.
    """

    directory: Path
    count: int
    seeds: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def load(cls, directory: Path) -> _Progress:
        """Read the file.

        Raises:
            UsageError: if it is not readable.
        """
        path = directory / SEEDS_FILE
        try:
            content = json.loads(path.read_bytes())
            return cls(directory, content["count"], content["seeds"])
        except (OSError, ValueError, KeyError) as error:
            raise UsageError(
                f"Cannot resume run {directory.name}: {path} cannot be read: {error}. Start a new "
                "run without --resume."
            ) from None

    def check_count(self, count: int) -> None:
        """Check that the run is resumed with as many seeds as it was started with.

        Raises:
            UsageError: if it is not.
        """
        if count != self.count:
            raise UsageError(
                f"Run {self.directory.name} has {self.count} seeds. Resume it with "
                f"--seeds {self.count}."
            )

    def save(self) -> None:
        """Write the file.

        Raises:
            TrackingError: if it cannot be written.
        """
        content = {"count": self.count, "seeds": self.seeds}
        try:
            atomic_write(self.directory / SEEDS_FILE, json.dumps(content).encode())
        except OSError as error:
            raise TrackingError(
                f"Cannot write to {self.directory}: {error.strerror or error}. Free disk space, or "
                "start the run in a directory that you may write to."
            ) from None

    def update(self, seed: int, **content: Any) -> None:
        """Note what became of a seed, and write the file."""
        self.seeds[str(seed)] = content
        self.save()

    def is_done(self, seed: int) -> bool:
        return str(seed) in self.seeds

    def results(self) -> list[RunResult]:
        """Return the result of each seed that finished, in the order of the seeds."""
        ordered = sorted(self.seeds.items(), key=lambda item: int(item[0]))
        return [_result_from(each["result"]) for _, each in ordered if "result" in each]

    def diverged(self) -> dict[int, str]:
        """Return the reason of each seed that diverged."""
        ordered = sorted((int(seed), each) for seed, each in self.seeds.items())
        return {seed: each["diverged"] for seed, each in ordered if "diverged" in each}


def _recipe_of(loaded: LoadedRecipe, seed: int) -> LoadedRecipe:
    """Return the recipe of a seed, which itself uses no cluster."""
    changes = [f"seed={seed}"]
    if loaded.recipe.runtime.cluster != "local":
        changes.append("runtime.cluster=local")
    return load_recipe(loaded.path, (*loaded.overrides, *changes))


def _left(recipes: Sequence[LoadedRecipe], progress: _Progress) -> Iterator[LoadedRecipe]:
    """Yield the recipes of the seeds that have not ended yet."""
    for index, seeded in enumerate(recipes, start=1):
        if not progress.is_done(seeded.recipe.seed):
            logger.info(f"Seed {seeded.recipe.seed}, {index} of {len(recipes)}")
            yield seeded


def _note(outcome: SeedOutcome | Lost, seed: int, progress: _Progress) -> None:
    """Note what became of a seed.

    Raises:
        TrainingError: if its process died.
        DataError: if it was trained on other images than the seeds before.
    """
    if isinstance(outcome, Lost):
        raise TrainingError(f"Seed {seed} could not be trained. {outcome.explanation}")
    known = resume_checks.known_images(progress.directory)
    if known and outcome.images != known:
        raise DataError(
            f"Seed {seed} was trained on other data than the seeds before: its digest is "
            f"{outcome.images[:12]}, that of the others is {known[:12]}. Copy the same data to "
            "every machine."
        )
    resume_checks.check_same_images(progress.directory, outcome.images)  # and keep their digest
    if outcome.result is None:
        logger.warning(f"Seed {seed} diverged and is in no mean: {outcome.divergence}")
        progress.update(seed, diverged=outcome.divergence)
    else:
        progress.update(seed, result=dataclasses.asdict(outcome.result))


def _result_from(content: Mapping[str, Any]) -> RunResult:
    registered = content["registered"]
    return RunResult(
        **{**content, "registered": RegisteredModel(**registered) if registered else None}
    )


def _say_how_to_resume(command: str, progress: _Progress, error: Exception | None) -> None:
    """Say how to resume the seeds where that can help."""
    if error is None or (progress.results() and not isinstance(error, TrainingError)):
        logger.info(f"Resume with: {command}")


def _count_seeds(finished: int, diverged: Mapping[int, str]) -> str:
    """Return such as `4 of 5 seeds; seed 44 diverged`."""
    if not diverged:
        return f"{finished} seeds"
    noun = "seed" if len(diverged) == 1 else "seeds"
    named = ", ".join(map(str, diverged))
    return f"{finished} of {finished + len(diverged)} seeds; {noun} {named} diverged"


def _error_of(runs: Sequence[RunResult], diverged: Mapping[int, str]) -> DivergedError:
    reason = next(iter(diverged.values()))
    if not runs:
        return DivergedError(f"All {len(diverged)} seeds diverged. {reason}")
    return DivergedError(
        f"{_count_seeds(len(runs), diverged)}. One seed has no standard deviation. {reason}"
    )


def _spreads(runs: Sequence[RunResult]) -> dict[str, RunSummary]:
    """Return the spread of each overall metric that all runs have."""
    return {
        name: summarize_runs(
            np.array([each.metrics[name] for each in runs]), limits=metric_limits(name)
        )
        for name in overall_metrics_of_all([each.metrics for each in runs])
    }
