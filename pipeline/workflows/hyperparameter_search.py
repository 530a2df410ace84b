"""From a recipe with a search space to its best recipe, trained."""

from __future__ import annotations

import contextlib
import json
import logging
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipeline.cluster.opening import open_cluster
from pipeline.errors import TrainingError, UsageError
from pipeline.html_table import html_table
from pipeline.recipe.loader import LoadedRecipe, load_recipe
from pipeline.secrets import mask_values
from pipeline.stages.class_balance import warn_of_imbalance
from pipeline.stages.data_checks import check_recipe_with_data
from pipeline.stages.log_run import log_dataset
from pipeline.stages.resume_checks import resume_command
from pipeline.tracking.trial_runs import logged_trials
from pipeline.trials import search_logging
from pipeline.trials.search_display import SearchDisplay
from pipeline.trials.search_session import check_same_images, session
from pipeline.trials.search_state import Search
from pipeline.trials.trial_loop import make_trial_worker, run_trials
from pipeline.trials.trial_reporter import TrialReporter
from pipeline.trials.trial_trainer import TrialTrainer
from pipeline.tuning.tuning_config import TuningConfig
from pipeline.workflows.run_result import RunResult
from pipeline.workflows.single_run import run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TuneResult:
    """The result of a search.

    Attributes:
        parent_run_id: the id of the MLflow run of the search.
        objective: the metric that is optimized.
        trials: a row for each trial: number, state, objective, seconds, and the values by path.
        failed: the number of trials that failed, without those of contradictory values.
        contradictory: the number of trials that were not trained because their values contradict
            each other.
        best: the number of the best trial, its score and its values.
        ended: why the search ended.
        recipe: the file of the best recipe.
        seconds: the time of the trials, in all sessions.
        final: the result of the run of the best recipe.
    """

    parent_run_id: str
    objective: str
    trials: list[dict[str, Any]]
    failed: int
    contradictory: int
    best: dict[str, Any]
    ended: str
    recipe: str
    seconds: float
    final: RunResult

    def __str__(self) -> str:
        best, final, objective = self.best, self.final, self.objective
        values = [f"  {path}: {json.dumps(value)}" for path, value in best["values"].items()]
        in_full = final.format_metric(objective) or "of its best epoch"
        lines = [
            f"Best of {self._count()} in {self.seconds:.1f} seconds: trial {best['trial']}, "
            f"{objective} {best['score']:.4f}",
            *(values or ["  the recipe without changes"]),
            f"Trained in full: {objective} {in_full} on {final.images['val']:,} {final.unit} "
            f"(optimistic: {len(self.trials)} trials were compared on them)",
        ]
        tested = f"test_{objective.removeprefix('val_')}"
        on_test = "There is no test split for an unbiased estimate."
        if final.images.get("test"):
            images = f"{final.images['test']:,} {final.unit} (evaluated once, at the end)"
            on_test = f"{tested} {final.format_metric(tested) or 'is undefined'} on {images}"
        lines += [
            f"  {on_test}",
            f"  recipe {self.recipe}",
            f"  search {self.parent_run_id}, best run {final.run_id} in {final.tracking_uri}",
            f"  model {final.model_uri}",
            "View it with: pipeline ui",
        ]
        return "\n".join(lines)

    def _count(self) -> str:
        """Return how many trials there were, and how many of them have no score."""
        unscored = [
            f"{count} {what}"
            for count, what in ((self.failed, "failed"), (self.contradictory, "contradictory"))
            if count
        ]
        return f"{len(self.trials)} trials" + (f" ({', '.join(unscored)})" if unscored else "")

    def _repr_html_(self) -> str:
        rows = [(path, str(value)) for path, value in self.best["values"].items()]
        title = (
            f"Best of {self._count()}: trial {self.best['trial']}, "
            f"{self.objective} {self.best['score']:.4f}"
        )
        notes = (f"search {self.parent_run_id}", f"recipe {self.recipe}")
        table = html_table(title, ("parameter", "value"), rows, notes=notes)
        return table + self.final._repr_html_()


def tune(
    loaded: LoadedRecipe,
    *,
    workers: int = 1,
    resume: str | None = None,
    start_new: bool = False,
) -> TuneResult:
    """Search a recipe's space, log every trial, and train the best recipe.

    An interrupted search is resumed.

    Args:
        loaded: the recipe.
        workers: the number of trials that run at the same time on each machine of the recipe's
            `runtime.cluster`. On this machine alone, 1 runs them in this process.
        resume: the run of the search to resume. Default: the last unfinished search of this file.
        start_new: start a new search, ignoring unfinished ones.

    Raises:
        UsageError: if the recipe has no space, or has changed since the search was started.
        PipelineError: if the search fails. In MLflow it is FAILED, with the reason.
        KeyboardInterrupt: if it is interrupted. In MLflow it is KILLED.
    """
    tuning = _tuning_of(loaded)
    with (
        open_cluster(loaded.recipe.runtime.cluster, workers=workers) as cluster,
        session(loaded, resume=resume, start_new=start_new) as opened,
    ):
        run_logger, journal = opened.tracked.logger, opened.journal

        def say_how_to_resume(error: Exception | None) -> None:
            if error is None:
                command = resume_command(loaded, run_logger.run_id, command="tune", workers=workers)
                logger.info(f"Resume with: {command}")

        opened.tracked.on_stop = say_how_to_resume
        search, trainer = Search(loaded, journal, at_once=cluster.at_once), TrialTrainer()
        logger.info(
            f"Searching {len(tuning.space)} parameters in {tuning.trials} trials to "
            f"{tuning.direction}imize {tuning.objective} (tuner: {tuning.tuner})"
        )
        search_logging.log_search(search, loaded, run_logger)
        splits = trainer.splits(loaded.recipe)
        check_recipe_with_data(loaded.recipe, splits)
        check_same_images(journal, splits.digest)
        log_dataset(loaded, splits, run_logger)
        warn_of_imbalance(loaded.recipe, splits)

        logged = logged_trials(opened.store, run_logger.run_id)
        with contextlib.closing(SearchDisplay(search)) as display:
            reporter = TrialReporter(search, run_logger, display, logged=logged)
            reporter.update()
            make_worker = partial(make_trial_worker, loaded, trainer, splits.digest)
            run_trials(search, cluster, make_worker, reporter)
        best = search.best
        if best is None:
            raise TrainingError(f"Every trial failed: {search.ended}.")
        rows = mask_values(search_logging.trial_rows(search), loaded.secrets)
        search_logging.log_trial_rows(rows, run_logger)
        best_recipe = search_logging.write_best(search, loaded, journal.folder, run_logger)
        search_logging.log_search_figures(search, run_logger)
        logger.info(f"The search has ended: {search.ended}. Training its best recipe {best_recipe}")
        final = run(load_recipe(best_recipe))
        search_logging.log_search_result(search, final.run_id, final.metrics, run_logger)
        run_logger.end("FINISHED")
        journal.append("completed", final=final.run_id)
    return TuneResult(
        parent_run_id=run_logger.run_id,
        objective=tuning.objective,
        trials=rows,
        failed=len(search.failed),
        contradictory=len(search.contradictory),
        best={
            "trial": best.number,
            "score": best.outcome.score,
            "values": mask_values(best.values, loaded.secrets),
        },
        ended=search.ended,
        recipe=str(best_recipe),
        seconds=round(search.seconds_of_trials, 3),
        final=final,
    )


def _tuning_of(loaded: LoadedRecipe) -> TuningConfig:
    if loaded.recipe.tuning is None:
        raise UsageError(
            f"{loaded.path}: the section tuning is missing. It defines what to search, for example "
            "tuning: {space: {optimizer.learning_rate: {log: [1e-4, 1e-1]}}}."
        )
    return loaded.recipe.tuning
