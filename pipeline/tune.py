"""From a recipe with a space to its best recipe, trained: the story of a search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import engines
from pipeline.errors import TrainingError, UsageError
from pipeline.interruption import orderly
from pipeline.recipe.load import LoadedRecipe, load
from pipeline.run import Result, run
from pipeline.tuning.keys import Tuning
from pipeline.tuning.place import Place

Say = Callable[[str], None]

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
    final: Result


def tune(
    loaded: LoadedRecipe,
    path: Path,
    *,
    workers: int = 1,
    chief: Place | None = None,
    resume: str | None = None,
    anew: bool = False,
    say: Say,
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
        anew: begin another search even so.
        say: tells a person what is going on.

    Raises:
        UsageError: if the recipe has no space, or has changed since the search began.
        PipelineError: if the search fails; in MLflow it is FAILED, with the reason.
        KeyboardInterrupt: if it is interrupted; in MLflow it is KILLED.
    """
    tuning = _tuning_of(loaded, path)
    engines.load()
    from pipeline.search import record
    from pipeline.search.bench import Bench
    from pipeline.search.distributed import run_as_chief
    from pipeline.search.runners import run_here
    from pipeline.search.search import Search
    from pipeline.search.session import images_are_the_same, session
    from pipeline.search.workers import run_in_workers
    from pipeline.stages.record import record_data, record_failure, record_interruption

    with session(loaded, path, resume=resume, anew=anew, say=say) as opened:
        recorder, journal = opened.recorder, opened.journal

        def leave() -> None:
            record_interruption(recorder)
            say(f"Go on with: pipeline tune {path} --resume {recorder.run_id}")

        with orderly(leave):
            try:
                search, bench = Search(loaded, journal), Bench()
                say(
                    f"Searching {len(tuning.space)} parameters with {tuning.tuner} for the "
                    f"{tuning.direction}imum of {tuning.objective} in {tuning.trials} trials"
                )
                record.record_search(search, loaded, recorder)
                splits = bench.splits(loaded.recipe, say=say)
                images_are_the_same(journal, splits.digest)
                record_data(loaded, splits, recorder)

                def run_trials(reporter: Any, tell: Say) -> None:
                    if chief:
                        run_as_chief(search, reporter, chief, images=splits.digest, say=tell)
                    elif workers > 1:
                        run_in_workers(search, reporter, workers=workers, say=tell)
                    else:
                        run_here(search, bench, reporter, say=tell)

                undelivered = _run_trials(search, opened, say, run_trials)
                best = search.best
                if best is None:
                    raise TrainingError(f"No trial came to its end: {search.ended}.")
                rows = record.table_of(search, loaded.secrets)
                record.record_table(rows, recorder)
                place = record.write_best(search, loaded, journal.folder, recorder)
                record.record_figures_of(search, loaded, recorder)
                say(f"The search ended: {search.ended}. Training its best recipe, {place}")
                final = run(load(place), say=say)
                record.record_end(search, final.run_id, final.metrics, recorder)
            except Exception as error:
                record_failure(error, recorder)
                raise
            recorder.close("FINISHED")
        if undelivered:
            say(
                f"{undelivered} trials could not be written to {recorder.uri}. Write them with: "
                f"pipeline tune {path} --resume {recorder.run_id}"
            )
        else:
            journal.append("done", final=final.run_id)
    return TuneResult(
        parent_run_id=recorder.run_id,
        objective=tuning.objective,
        trials=rows,
        best={"trial": best.number, "score": best.outcome.score, "values": best.values},
        ended=search.ended,
        recipe=str(place),
        seconds=round(search.seconds_of_trials, 3),
        final=final,
    )


def work(loaded: LoadedRecipe, path: Path, place: Place, *, say: Say) -> int:
    """Run trials for the chief of a search over several machines; return how many.

    Raises:
        UsageError: if the recipe has no space, or another one than the chief's.
        PipelineError: if the images are others, or the chief does not answer.
    """
    _tuning_of(loaded, path)
    engines.load()
    from pipeline.search.distributed import work_for_chief

    return work_for_chief(loaded, place, say=say)


def _tuning_of(loaded: LoadedRecipe, path: Path) -> Tuning:
    if loaded.recipe.tuning is None:
        raise UsageError(
            f"{path}: there is no section tuning, which says what to search, as in tuning: "
            "{space: {optimizer.learning_rate: {log: [1e-4, 1e-1]}}}."
        )
    return loaded.recipe.tuning


def _run_trials(search: Any, opened: Any, say: Say, run: Callable[[Any, Say], None]) -> int:
    """Run what is left of a search; return how many trials could not be written to the store."""
    from pipeline.search.progress import SearchDisplay
    from pipeline.search.report import Reporter
    from pipeline.tracking.children import Children

    display = SearchDisplay(search)
    children = Children(opened.store, opened.recorder.run_id, display.say)
    reporter = Reporter(search, children, opened.recorder, display)
    finished = False
    try:
        reporter.update()
        run(reporter, display.say)
        finished = True
    finally:
        undelivered = children.close(within=None if finished else _SECONDS_TO_WRITE)
        display.close()
    return undelivered
