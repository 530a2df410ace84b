"""Hands the trials of a search to workers, in processes of this machine or on others."""

from __future__ import annotations

import logging
import queue
from multiprocessing import connection
from multiprocessing.connection import Connection

from pipeline.trials.journal import outcome_from_json
from pipeline.trials.search_state import PendingTrial, Search
from pipeline.trials.trial import EpochMetrics
from pipeline.trials.trial_reporter import TrialReporter
from pipeline.trials.trial_worker import receive, send

logger = logging.getLogger(__name__)


_POLL_SECONDS = 0.5  # for workers that join


class PoolWorker:
    """A worker as its pool sees it.

    Attributes:
        name: for messages.
        connection: to the worker.
        task: the trial that it runs, None while it is idle.
        is_lost: whether the pool has to forget it.
    """

    def __init__(self, name: str, connection: Connection) -> None:
        self.name = name
        self.connection = connection
        self.task: PendingTrial | None = None
        self.is_lost = False

    def start(self, task: PendingTrial, search: Search) -> None:
        """Send a trial.

        Raises:
            OSError: if the connection is lost.
        """
        self.task = task
        self._stops = search.stopping_rule()
        self._rows: list[EpochMetrics] = []
        send(self.connection, "trial", number=task.number, proposal=task.proposal)

    def handle_message(self, search: Search) -> None:
        """Receive a message about the current trial.

        Raises:
            EOFError, OSError: if the connection is lost.
            ValueError: if what was received is no message.
        """
        assert self.task is not None
        message = receive(self.connection)
        if message["message"] == "log":
            logging.getLogger(message["logger"]).log(message["level"], message["text"])
        elif message["message"] == "epoch":
            self._rows.append(message["metrics"])
            send(self.connection, "stop", stop=self._stops(self._rows))
        else:
            search.finish(self.task, outcome_from_json(message["outcome"]))
            self.task = None

    def handle_loss(self, search: Search) -> None:
        """Give the trial of a worker that is gone to another one."""
        assert self.task is not None
        logger.warning(
            f"Worker {self.name} is gone. Trial {self.task.number} goes to the next idle worker."
        )
        search.requeue(self.task)
        self.is_lost = True
        self.connection.close()

    def stop(self) -> None:
        """End the worker, which counts as lost if it is running a trial."""
        try:
            if self.task is None:
                send(self.connection, "end")
        except OSError:
            logger.info(f"Worker {self.name} is gone.")
        self.connection.close()


WorkerQueue = queue.SimpleQueue[PoolWorker]


def run_in_pool(search: Search, reporter: TrialReporter, joining: WorkerQueue) -> None:
    """Run the trials of a search until it ends.

    Args:
        search: the search.
        reporter: is told of finished trials.
        joining: workers that join, at the start or later.

    Raises:
        KeyboardInterrupt: if it is interrupted; running trials are run again when it resumes.
    """
    workers: list[PoolWorker] = []
    try:
        while _assign(search, workers, joining):
            running = {worker.connection: worker for worker in workers if worker.task}
            for ready in connection.wait(list(running), _POLL_SECONDS):
                worker = running[ready]  # type: ignore[index]
                try:
                    worker.handle_message(search)
                except (EOFError, OSError, ValueError, KeyError):
                    worker.handle_loss(search)
            reporter.update()
    except KeyboardInterrupt:
        for worker in workers:
            if worker.task:
                reporter.interrupted(worker.task)
        raise
    finally:
        for worker in workers:
            worker.stop()
        reporter.update()


def _assign(search: Search, workers: list[PoolWorker], joining: WorkerQueue) -> bool:
    """Give trials to the idle workers; return whether the search goes on."""
    while not joining.empty():
        workers.append(joining.get())
    while True:
        workers[:] = [worker for worker in workers if not worker.is_lost]
        is_running = any(worker.task for worker in workers)
        idle = next((worker for worker in workers if not worker.task), None)
        if idle is None and is_running:
            return True
        task = search.next()
        if task is None or task == "wait":
            return is_running
        if idle is None:
            search.requeue(task)
            return True
        try:
            idle.start(task, search)
        except OSError:
            idle.handle_loss(search)
