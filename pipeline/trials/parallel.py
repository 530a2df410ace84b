"""Trials in several processes of this machine, which share its CPU threads and GPUs."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal

import tensorflow as tf

from pipeline.recipe.loader import LoadedRecipe
from pipeline.trials import trial_worker
from pipeline.trials.search_state import PendingTrial, Search
from pipeline.trials.trial import TrialOutcome
from pipeline.trials.trial_reporter import TrialReporter
from pipeline.trials.worker_pool import PoolWorker, WorkerQueue, run_in_pool

logger = logging.getLogger(__name__)


_MAX_GROWTH = 2**30  # bytes by which a process may grow before it is replaced, which frees them


class LocalWorker(PoolWorker):
    """A process of this machine. If it dies, its trial fails and another process replaces it."""

    def __init__(self, loaded: LoadedRecipe, environment: dict[str, str]) -> None:
        """Start the process.

        Args:
            loaded: the recipe of the search.
            environment: variables of the process beside those of this one.
        """
        self._arguments = (loaded.document, loaded.recipe.name)
        self._environment = environment
        self._start_process()

    def _start_process(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(
            target=trial_worker.main, args=(theirs, *self._arguments), daemon=True
        )
        before = dict(os.environ)
        os.environ.update(self._environment)
        try:
            self._process.start()  # inherits the environment as it is now
        finally:
            os.environ.clear()
            os.environ.update(before)
        theirs.close()
        self._first_memory = 0
        super().__init__(str(self._process.pid), ours)

    def start(self, task: PendingTrial, search: Search) -> None:
        if not self._process.is_alive():
            self._restart()
        super().start(task, search)

    def handle_message(self, search: Search) -> None:
        super().handle_message(search)
        if self.task is None:
            memory = _memory_of(self._process.pid)
            self._first_memory = self._first_memory or memory
            if memory - self._first_memory > _MAX_GROWTH:
                self._restart()

    def handle_loss(self, search: Search) -> None:
        assert self.task is not None
        self._process.join()
        search.finish(self.task, _outcome_of_death(self._process.exitcode))
        self._restart()

    def _restart(self) -> None:
        self.stop()
        self._start_process()

    def stop(self) -> None:
        self.connection.close()
        self._process.kill()
        self._process.join()


def run_in_parallel(
    search: Search, loaded: LoadedRecipe, reporter: TrialReporter, *, workers: int
) -> None:
    """Run the trials of a search in processes until it ends.

    Args:
        search: the search.
        loaded: its recipe.
        reporter: is told of finished trials.
        workers: the number of processes.

    Raises:
        KeyboardInterrupt: if it is interrupted; running trials are run again when it resumes.
    """
    threads = max(len(os.sched_getaffinity(0)) // workers, 1)
    logger.info(f"Running {workers} trials at a time with {threads} CPU threads each")
    pool = WorkerQueue()
    for index in range(workers):
        pool.put(LocalWorker(loaded, _environment(index, threads)))
    run_in_pool(search, reporter, pool)


def _outcome_of_death(exit_code: int | None) -> TrialOutcome:
    if exit_code == -signal.SIGKILL:
        reason = "The process of the trial was killed, probably because memory ran out."
        return TrialOutcome("FAILED", kind="memory", reason=reason)
    reason = f"The process of the trial ended with exit code {exit_code}."
    return TrialOutcome("FAILED", kind="died", reason=reason)


def _environment(index: int, threads: int) -> dict[str, str]:
    """Return the variables that give a process its CPU threads and a GPU."""
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    environment = dict.fromkeys(names, str(threads))
    gpus = _gpus()
    return {**environment, "CUDA_VISIBLE_DEVICES": gpus[index % len(gpus)]} if gpus else environment


def _gpus() -> list[str]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name]
    return [str(index) for index in range(len(tf.config.list_physical_devices("GPU")))]


def _memory_of(process_id: int | None) -> int:
    """Return the bytes of memory that a process uses, 0 where the system does not tell."""
    try:
        with open(f"/proc/{process_id}/statm", encoding="ascii") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
