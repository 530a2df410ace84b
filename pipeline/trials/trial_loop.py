"""Runs the trials of a search: in this process, or side by side on the machines of a cluster."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.cluster.cluster import Cluster, Lost, Wait
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.loader import LoadedRecipe
from pipeline.stages.data_checks import images_of_machine
from pipeline.trials.pruning import StoppingRule
from pipeline.trials.search_state import PendingTrial, Search
from pipeline.trials.trial import TrialOutcome, run_trial
from pipeline.trials.trial_reporter import TrialReporter
from pipeline.trials.trial_trainer import TrialTrainer

_COLLECT_AFTER = 10  # trials


@dataclass(frozen=True)
class TrialPiece:
    """A trial as it is given to a worker, with the rule that stops it early."""

    trial: PendingTrial
    rule: StoppingRule


TrialWorker = Callable[[TrialPiece], TrialOutcome]


def run_trials(
    search: Search,
    cluster: Cluster,
    make_worker: Callable[[], TrialWorker],
    reporter: TrialReporter,
) -> None:
    """Run the trials of a search until it ends.

    Args:
        search: the search.
        cluster: runs the trials.
        make_worker: `make_trial_worker` with its arguments.
        reporter: is told of finished trials.

    Raises:
        KeyboardInterrupt: if it is interrupted; running trials are run again when it resumes.
    """
    running: dict[int, PendingTrial] = {}

    def pieces() -> Iterator[TrialPiece | Wait]:
        while (trial := search.next()) is not None:
            if trial == "wait":
                yield "wait"
            else:
                running[trial.number] = trial
                yield TrialPiece(trial, search.stopping_rule(trial))

    try:
        for piece, result in cluster.results(make_worker, pieces()):
            search.finish(running.pop(piece.trial.number), _outcome(result))
            reporter.update()
    except KeyboardInterrupt:
        for trial in running.values():
            reporter.interrupted(trial)
        raise
    reporter.update()


def make_trial_worker(loaded: LoadedRecipe, trainer: TrialTrainer, images: str) -> TrialWorker:
    """Return the worker of a process.

    Args:
        loaded: the recipe of the search.
        trainer: of the worker in this process; one in another process has its own.
        images: the digest of the images, which has to be the same in every process.

    Raises:
        UnfitMachineError: if the images are missing here, or others.
    """
    tuning = loaded.recipe.tuning
    assert tuning is not None
    images_of_machine(lambda: trainer.splits(loaded.recipe), images)
    count = 0

    def run(piece: TrialPiece) -> TrialOutcome:
        nonlocal count
        outcome = run_trial(_in_one_process(piece.trial), trainer, tuning, piece.rule)
        count += 1
        if count % _COLLECT_AFTER == 0:
            gc.collect()  # models and their graphs refer to each other
        return outcome

    return run


def _in_one_process(trial: PendingTrial) -> Recipe:
    """Return the recipe of a trial, which itself uses no cluster."""
    recipe = trial.loaded.recipe
    runtime = recipe.runtime.model_copy(update={"cluster": "local"})
    return recipe.model_copy(update={"runtime": runtime})


def _outcome(result: TrialOutcome | Lost) -> TrialOutcome:
    """Return the outcome of a trial, which failed if its process died."""
    if isinstance(result, TrialOutcome):
        return result
    kind = "memory" if result.memory else "died"
    return TrialOutcome("FAILED", kind=kind, reason=result.reason)
