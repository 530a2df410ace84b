"""One search over several machines: the chief hands out trials, workers run them."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pipeline.errors import DataError, PipelineError, UsageError
from pipeline.recipe.loader import LoadedRecipe, with_overrides
from pipeline.trials.journal import outcome_as_json, outcome_from_json
from pipeline.trials.pruning import StoppingRule
from pipeline.trials.search_state import PendingTrial, Search
from pipeline.trials.trial import EpochMetrics, run_trial
from pipeline.trials.trial_trainer import TrialTrainer
from pipeline.tuning import service
from pipeline.tuning.search_space import decode, resolve
from pipeline.tuning.service import Texts, Worker
from pipeline.tuning.worker_role import WorkerRole

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from pipeline.trials.trial_reporter import TrialReporter


SILENCE = 20.0  # seconds after which a worker counts as gone
_HEARTBEAT = 4.0
_WAIT = 0.5
_LAST_WORDS = 3.0  # seconds in which workers learn that all is done


class _Chief:
    """A search as workers see it."""

    def __init__(self, search: Search, images: str) -> None:
        self.lock = threading.Lock()
        self._search = search
        self._images = images
        self._running: dict[str, tuple[PendingTrial, str, StoppingRule]] = {}
        self._rows: dict[str, list[EpochMetrics]] = {}
        self._last_heard: dict[str, float] = {}

    def begin(self, worker: str) -> tuple[str, Texts] | Literal["wait"] | None:
        with self.lock:
            task = self._search.next()
            if task == "wait" or (task is None and self._running):
                return "wait"
            if task is None:
                return None
            key = str(task.number)
            self._running[key] = (task, worker, self._search.stopping_rule())
            self._rows[key] = []
            self._last_heard[key] = time.monotonic()
            return key, {
                "proposal": json.dumps(self._search.proposal_of(task.number)),
                "images": self._images,
                "tuning": self._search.tuning.model_dump_json(),
            }

    def epoch(self, key: str, row: Mapping[str, float]) -> bool:
        with self.lock:
            self._last_heard[key] = time.monotonic()
            if key not in self._running:
                return True
            self._rows[key].append(dict(row))
            return self._running[key][2](self._rows[key])

    def end(self, key: str, outcome: str) -> None:
        with self.lock:
            if key in self._running:  # else somebody else was faster
                task, _, _ = self._running.pop(key)
                self._search.finish(task, outcome_from_json(json.loads(outcome)))

    def heard(self, key: str) -> None:
        with self.lock:
            self._last_heard[key] = time.monotonic()

    def take_back(self) -> None:
        """Give the trials of workers that are gone to others."""
        with self.lock:
            for key, (task, worker, _) in list(self._running.items()):
                silent = time.monotonic() - self._last_heard[key]
                if silent > SILENCE:
                    del self._running[key]
                    self._search.give_up(task)
                    logger.info(
                        f"{worker} has been silent for {silent:.0f} s: trial {task.number} goes to "
                        "the next worker that asks"
                    )

    def is_done(self) -> bool:
        """Return whether all trials were run."""
        with self.lock:
            if self._running:
                return False
            task = self._search.next()
            if isinstance(task, PendingTrial):
                self._search.give_up(task)
            return task is None


def run_as_chief(
    search: Search, reporter: TrialReporter, place: WorkerRole, *, images: str
) -> None:
    """Hand out the trials of a search to workers on any machine until it ends.

    Args:
        search: the search.
        reporter: is told of trials that have ended.
        place: of the chief.
        images: digest of the images, which every worker has to have.

    Raises:
        PipelineError: if the address cannot be used.
    """
    chief = _Chief(search, images)
    with service.served(chief, place.address):
        logger.info(
            f"Waiting for workers at {place.address}. Start one on each machine: "
            f"KERASTUNER_TUNER_ID=NAME KERASTUNER_ORACLE_IP={place.address.rpartition(':')[0]} "
            f"KERASTUNER_ORACLE_PORT={place.address.rpartition(':')[2]} pipeline tune RECIPE"
        )
        while not chief.is_done():
            time.sleep(_WAIT)
            chief.take_back()
            with chief.lock:
                reporter.update()
        time.sleep(_LAST_WORDS)
    reporter.update()


def work_for_chief(loaded: LoadedRecipe, place: WorkerRole) -> int:
    """Run trials for a chief until it has none left; return how many.

    Raises:
        UsageError: if this recipe searches something else than the chief's.
        DataError: if the images are not the chief's.
        PipelineError: if the chief does not answer.
    """
    tuning = loaded.recipe.tuning
    assert tuning is not None
    space, _ = resolve(tuning.space)
    worker, bench, count = Worker(place), TrialTrainer(), 0
    images = bench.splits(loaded.recipe).digest
    logger.info(f"{place.name} works for the chief at {place.address}")
    while (given := worker.next()) is not None:
        if given == "wait":
            time.sleep(_WAIT)
            continue
        key, texts = given
        if json.loads(texts["tuning"])["space"] != json.loads(tuning.model_dump_json())["space"]:
            raise UsageError("The chief searches another space. Use the same recipe.")
        if texts["images"] != images:
            raise DataError("The chief has other images, so that trials cannot be compared.")
        proposal = json.loads(texts["proposal"])
        values: dict[str, Any] = {}
        if proposal:
            values = decode(space, proposal["numbers"])
            values |= {"training.epochs": proposal["epochs"]} if proposal["epochs"] else {}
        with _heartbeat(worker, key):
            outcome = run_trial(
                with_overrides(loaded, values).recipe,
                bench,
                objective=tuning.objective,
                executions=tuning.executions_per_trial,
                should_stop=lambda rows, key=key: worker.epoch(key, rows[-1]),  # type: ignore[misc]
            )
        worker.end(key, json.dumps(outcome_as_json(outcome)))
        count += 1
        shown = f"{outcome.score:.4f}" if outcome.score is not None else outcome.reason
        logger.info(f"trial {key}: {tuning.objective} {shown}")
    return count


@contextlib.contextmanager
def _heartbeat(worker: Worker, key: str) -> Iterator[None]:
    """Tell the chief every few seconds that a trial is being worked on."""
    over = threading.Event()

    def beat() -> None:
        with contextlib.suppress(PipelineError):
            while not over.wait(_HEARTBEAT):
                worker.alive(key)

    threading.Thread(target=beat, daemon=True, name="heartbeat").start()
    try:
        yield
    finally:
        over.set()
