"""Trials in processes of their own, several at a time on one machine.

The search stays in this process. A process that dies takes its trial with it, which fails; one that
has grown is replaced, so that memory comes back. CPU threads are divided, GPUs handed out in turn.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from multiprocessing import connection
from typing import TYPE_CHECKING

import tensorflow as tf

from pipeline.trials.search_state import PendingTrial, Search
from pipeline.trials.trial import TrialOutcome
from pipeline.trials.worker_process import Order, work

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from pipeline.trials.trial_reporter import TrialReporter


_MOST_GROWTH = 2**30  # bytes that a process may grow by before another takes its place


class _Worker:
    """A process that runs one trial after another."""

    def __init__(self, place: int, workers: int) -> None:
        self.place = place
        self.task: PendingTrial | None = None
        self._workers = workers
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs,), daemon=True)
        before = dict(os.environ)
        os.environ.update(_environment(self.place, self._workers))
        try:
            self.process.start()  # takes the environment as it is now
        finally:
            os.environ.clear()
            os.environ.update(before)
        theirs.close()

    def give(self, task: PendingTrial, search: Search) -> None:
        if not self.process.is_alive():
            self.restart()
        self.task = task
        self.connection.send(
            Order(
                task.loaded.document,
                task.loaded.recipe.name,
                search.tuning.objective,
                search.tuning.executions_per_trial,
                search.stopping_rule(),
            )
        )

    def restart(self) -> None:
        self.stop()
        self._start()

    def stop(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.join()


def run_in_parallel(search: Search, reporter: TrialReporter, *, workers: int) -> None:
    """Run the trials of a search until it ends, so many at a time.

    Raises:
        KeyboardInterrupt: if it is interrupted; the trials in progress count as never run.
    """
    pool = [_Worker(place, workers) for place in range(workers)]
    logger.info(f"Running {workers} trials at a time, {_threads(workers)} CPU threads each")
    try:
        while _hand_out(search, pool):
            busy = {worker.connection: worker for worker in pool if worker.task}
            for ready in connection.wait(list(busy)):
                _hear(busy[ready], search)  # type: ignore[index]
            reporter.update()
    except KeyboardInterrupt:
        for worker in pool:
            if worker.task:
                reporter.interrupted(worker.task)
        raise
    finally:
        for worker in pool:
            worker.stop()
        reporter.update()


def _hand_out(search: Search, pool: list[_Worker]) -> bool:
    """Give trials to the processes that have none; return whether any has one now."""
    for worker in pool:
        if worker.task:
            continue
        task = search.next()
        if task is None or task == "wait":
            break
        worker.give(task, search)
    return any(worker.task for worker in pool)


def _hear(worker: _Worker, search: Search) -> None:
    """Take what a process has to say: a message, or the outcome of its trial."""
    assert worker.task is not None
    try:
        kind, content = worker.connection.recv()
    except (EOFError, OSError):
        worker.process.join()
        search.finish(worker.task, _died(worker.process.exitcode))
        worker.task = None
        worker.restart()
        return
    if kind == "log":
        logging.getLogger(content.name).handle(content)
        return
    outcome, grown = content
    search.finish(worker.task, outcome)
    worker.task = None
    if grown > _MOST_GROWTH:
        worker.restart()


def _died(code: int | None) -> TrialOutcome:
    if code == -signal.SIGKILL:
        return TrialOutcome(
            "FAILED",
            kind="memory",
            reason="The process of the trial was killed, as the system does when memory runs out.",
        )
    return TrialOutcome(
        "FAILED", kind="died", reason=f"The process of the trial ended with {code}."
    )


def _threads(workers: int) -> int:
    return max(len(os.sched_getaffinity(0)) // workers, 1)


def _environment(place: int, workers: int) -> dict[str, str]:
    """Return the share of the machine that one of several processes gets."""
    threads = str(_threads(workers))
    found = {
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
        "OMP_NUM_THREADS": threads,
    }
    gpus = _gpus()
    return {**found, "CUDA_VISIBLE_DEVICES": gpus[place % len(gpus)]} if gpus else found


def _gpus() -> list[str]:
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name]

    return [str(place) for place in range(len(tf.config.list_physical_devices("GPU")))]
