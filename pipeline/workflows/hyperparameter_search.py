"""From a recipe with a space to its best recipe, trained: the story of a search."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import TrainingError, UsageError
from pipeline.recipe.loader import LoadedRecipe, load_recipe
from pipeline.shutdown import graceful_shutdown
from pipeline.stages.log_run import log_dataset, log_failure, log_interruption
from pipeline.tracking.trial_runs import TrialRunWriter
from pipeline.trials import search_logging
from pipeline.trials.distributed import run_as_chief, work_for_chief
from pipeline.trials.parallel import run_in_parallel
from pipeline.trials.search_display import SearchDisplay
from pipeline.trials.search_session import images_are_the_same, session
from pipeline.trials.search_state import Search
from pipeline.trials.sequential import run_sequentially
from pipeline.trials.trial_reporter import TrialReporter
from pipeline.trials.trial_trainer import TrialTrainer
from pipeline.tuning.tuning_config import TuningConfig
from pipeline.tuning.worker_role import WorkerRole
from pipeline.workflows.single_run import RunResult, run

logger = logging.getLogger(__name__)


_SECONDS_TO_WRITE = 0.8  # after an interruption; what is not written by then is when it goes on


@dataclass(frozen=True)
class TuneResult:
    """What came of a search.

    Attributes:
        parent_run_id: the run of the search in MLflow.
        objective: the metric that chose.
        trials: a row for each: number, state, objective, seconds, and the values by path.
        best: the number of the best trial, its score and its values.
        ended: why no more trials were run.
        recipe: the file of the best recipe.
        seconds: how long the trials took, in all sessions.
        final: the run of the best recipe.
    """

    parent_run_id: str
    objective: str
    trials: list[dict[str, Any]]
    best: dict[str, Any]
    ended: str
    recipe: str
    seconds: float
    final: RunResult


def tune(
    loaded: LoadedRecipe,
    path: Path,
    *,
    workers: int = 1,
    chief: WorkerRole | None = None,
    resume: str | None = None,
    start_new: bool = False,
) -> TuneResult:
    """Search a recipe's space, log every trial, and train the best recipe.

    A search that was interrupted goes on where it was.

    Args:
        loaded: the recipe.
        path: its file.
        workers: processes that run trials; 1 runs them in this one.
        chief: where workers on other machines ask for trials; none are run here then.
        resume: the run of the search to go on with; unless given, the last one of this file that
            is not finished.
        start_new: begin another search even so.

    Raises:
        UsageError: if the recipe has no space, or has changed since the search began.
        PipelineError: if the search fails; in MLflow it is FAILED, with the reason.
        KeyboardInterrupt: if it is interrupted; in MLflow it is KILLED.
    """
    tuning = _tuning_of(loaded, path)
    with session(loaded, path, resume=resume, start_new=start_new) as opened:
        run_logger, journal = opened.run_logger, opened.journal

        def leave() -> None:
            log_interruption(run_logger)
            logger.info(f"Go on with: pipeline tune {path} --resume {run_logger.run_id}")

        with graceful_shutdown(leave):
            try:
                search, bench = Search(loaded, journal), TrialTrainer()
                logger.info(
                    f"Searching {len(tuning.space)} parameters with {tuning.tuner} for the "
                    f"{tuning.direction}imum of {tuning.objective} in {tuning.trials} trials"
                )
                search_logging.record_search(search, loaded, run_logger)
                splits = bench.splits(loaded.recipe)
                images_are_the_same(journal, splits.digest)
                log_dataset(loaded, splits, run_logger)

                def run_trials(reporter: Any) -> None:
                    if chief:
                        run_as_chief(search, reporter, chief, images=splits.digest)
                    elif workers > 1:
                        run_in_parallel(search, reporter, workers=workers)
                    else:
                        run_sequentially(search, bench, reporter)

                undelivered = _run_trials(search, opened, run_trials)
                best = search.best
                if best is None:
                    raise TrainingError(f"No trial came to its end: {search.ended}.")
                rows = search_logging.table_of(search, loaded.secrets)
                search_logging.record_table(rows, run_logger)
                place = search_logging.write_best(search, loaded, journal.folder, run_logger)
                search_logging.record_figures_of(search, loaded, run_logger)
                logger.info(f"The search ended: {search.ended}. Training its best recipe, {place}")
                final = run(load_recipe(place))
                search_logging.record_end(search, final.run_id, final.metrics, run_logger)
            except Exception as error:
                log_failure(error, run_logger)
                raise
            run_logger.close("FINISHED")
        if undelivered:
            logger.info(
                f"{undelivered} trials could not be written to {run_logger.uri}. Write them with: "
                f"pipeline tune {path} --resume {run_logger.run_id}"
            )
        else:
            journal.append("done", final=final.run_id)
    return TuneResult(
        parent_run_id=run_logger.run_id,
        objective=tuning.objective,
        trials=rows,
        best={"trial": best.number, "score": best.outcome.score, "values": best.values},
        ended=search.ended,
        recipe=str(place),
        seconds=round(search.seconds_of_trials, 3),
        final=final,
    )


def work(loaded: LoadedRecipe, path: Path, place: WorkerRole) -> int:
    """Run trials for the chief of a search over several machines; return how many.

    Raises:
        UsageError: if the recipe has no space, or another one than the chief's.
        PipelineError: if the images are others, or the chief does not answer.
    """
    _tuning_of(loaded, path)

    return work_for_chief(loaded, place)


def _tuning_of(loaded: LoadedRecipe, path: Path) -> TuningConfig:
    if loaded.recipe.tuning is None:
        raise UsageError(
            f"{path}: there is no section tuning, which says what to search, as in tuning: "
            "{space: {optimizer.learning_rate: {log: [1e-4, 1e-1]}}}."
        )
    return loaded.recipe.tuning


def _run_trials(search: Any, opened: Any, run: Callable[[Any], None]) -> int:
    """Run what is left of a search; return how many trials could not be written to the store."""
    display = SearchDisplay(search)
    children = TrialRunWriter(opened.store, opened.run_logger.run_id)
    reporter = TrialReporter(search, children, opened.run_logger, display)
    finished = False
    try:
        reporter.update()
        run(reporter)
        finished = True
    finally:
        undelivered = children.close(within=None if finished else _SECONDS_TO_WRITE)
        display.close()
    return undelivered
