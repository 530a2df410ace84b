"""Writes items to MLflow from a thread, so that training never waits for the store."""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.shutdown import only_main_thread_interrupted
from pipeline.tracking.liveness import LivenessLock
from pipeline.tracking.mlflow_writer import OutboxItem, write_items, written_together
from pipeline.tracking.store import error_summary

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RetrySchedule:
    """When to try again to write to a store that cannot be reached.

    Attributes:
        seconds: between two tries while the run continues.
        after_end: the seconds before each try after the end of the run.
    """

    seconds: float
    after_end: Sequence[float]


_GATHERING = 0.2  # seconds
_STEP = 0.2  # seconds of a wait: the system may deliver a signal to any thread
RETRIES = RetrySchedule(5.0, after_end=(1, 2, 4, 8, 15, 15, 15))


class BackgroundWriter:
    """A queue of items and the thread that writes them in order.

    An item leaves the queue only once it is written. Where that fails, the thread tries again.
    """

    def __init__(self, client: Any, run_id: str, uri: str, liveness: LivenessLock) -> None:
        """Start the thread.

        Args:
            client: an MlflowClient.
            run_id: the run that the items belong to.
            uri: the tracking URI, without secrets.
            liveness: its directory contains the files of the items.
        """
        self._client, self._run_id, self._uri = client, run_id, uri
        self._liveness = liveness
        self._retries = RETRIES
        self._queue: deque[OutboxItem] = deque()
        self._changed = threading.Condition()
        self._ending, self._stopped, self._done = (threading.Event() for _ in range(3))
        self._waits_for_store = True
        threading.Thread(target=self._run, daemon=True, name="background_writer").start()

    def put(self, item: OutboxItem) -> None:
        """Append an item to the queue."""
        with self._changed:
            self._queue.append(item)
            self._changed.notify()

    def finish(self, within: float | None = None) -> list[OutboxItem]:
        """Wait until everything is written or was tried again, and return what is left.

        Nothing is written afterwards. Without `within`, Ctrl-C ends the waiting.

        Args:
            within: the maximum of seconds to wait.
        """
        if not self._stopped.is_set():
            self._waits_for_store = within is None
            if within is None:
                with contextlib.suppress(KeyboardInterrupt), only_main_thread_interrupted():
                    self._let_end()
                    while not self._done.wait(_STEP):
                        pass
            else:
                self._let_end()
                self._done.wait(within)
        with self._changed:
            self._stopped.set()
            self._ending.set()
            return list(self._queue)

    def _let_end(self) -> None:
        """Let the thread end when the queue is empty."""
        self._ending.set()
        with self._changed:
            self._changed.notify()

    def _run(self) -> None:
        try:
            self._write_all()
        finally:
            self._done.set()

    def _write_all(self) -> None:
        is_away, delays = False, iter(self._retries.after_end)
        is_announced = False  # that the run's end waits for the store
        while items := self._next():
            try:
                write_items(items, self._client, self._run_id, self._liveness.directory)
            except Exception as error:  # the network, the server, the database or the disk
                if self._stopped.is_set():
                    return
                is_ending = self._ending.is_set()
                if not is_away or is_ending > is_announced:
                    is_away, is_announced = True, is_ending
                    self._warn(error, is_ending=is_ending)
                if not is_ending:
                    self._ending.wait(self._retries.seconds)
                elif (delay := next(delays, None)) is not None:
                    self._stopped.wait(delay)
                else:
                    return
                continue
            for item in items:
                logger.debug(f"Sent {item.kind} to {self._uri}")
                self._remove_first()
            self._liveness.touch()
            if is_away and not self._queue:
                is_away = False
                logger.info(f"{self._uri} can be reached again; all logs were sent.")

    def _warn(self, error: Exception, *, is_ending: bool) -> None:
        what_happens = " The run continues; its logs are kept and sent later."
        if is_ending:
            seconds = sum(self._retries.after_end)
            what_happens = (
                f" Trying again for {seconds:.0f} seconds. Press Ctrl-C to stop that and to keep "
                "the remaining logs on this machine."
                if self._waits_for_store
                else ""
            )
        logger.warning(f"Cannot log to {self._uri}: {error_summary(error)}{what_happens}")

    def _next(self) -> list[OutboxItem]:
        """Return the next items to write, and wait for them; none if there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._ending.is_set())
            is_metrics = self._queue and len(written_together(self._queue)) == len(self._queue)
        if is_metrics:  # each write takes time from the training: those of short epochs gather
            self._ending.wait(_GATHERING)
        with self._changed:
            if not self._queue or self._stopped.is_set():
                return []
            return written_together(self._queue)

    def _remove_first(self) -> None:
        with self._changed:
            if not self._stopped.is_set():
                item = self._queue.popleft()
                if item.kind in ("artifacts", "model_files"):  # a model's directory is still in use
                    path = self._liveness.directory / item.body["directory"]
                    shutil.rmtree(path, ignore_errors=True)
