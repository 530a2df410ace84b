"""The progress of a prediction of many shards."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator

from rich.progress import Progress, TaskID

from pipeline.progress_bar import format_duration, start_progress_bar

logger = logging.getLogger(__name__)

_LOG_SECONDS = 60.0  # between messages, where no bar is drawn


class PredictionProgress:
    """How many parts are done, how fast, and how long it takes.

    Attributes:
        total: the number of parts.
        done: how many are done.
        rows: how many images, or rows, the parts have that were done since the beginning.
    """

    def __init__(self, total: int, done: int, unit: str) -> None:
        """Begin with the parts that are done already.

        Args:
            total: the number of parts.
            done: how many are done.
            unit: what is counted, such as `images`.
        """
        self.total = total
        self.done = done
        self._done_before = done
        self._unit = unit
        self.rows = 0
        self._started = self._logged = time.monotonic()
        self._bar: Progress | None = None
        self._task = TaskID(0)

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Show a progress bar in the block; messages from time to time without a terminal."""
        self._bar = start_progress_bar("predicting")
        if self._bar is not None:
            self._task = self._bar.add_task("", total=self.total, completed=self.done, note="")
        try:
            yield
        finally:
            if self._bar is not None:
                self._bar.stop()

    def advance(self, rows: int) -> None:
        """Count a part with so many images, or rows."""
        self.done += 1
        self.rows += rows
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, note=self.describe(now))
        elif now - self._logged >= _LOG_SECONDS:
            self._logged = now
            logger.info(self.describe(now))

    def describe(self, now: float) -> str:
        """Return the progress as a line of text.

        Args:
            now: the time of `time.monotonic`.
        """
        seconds = now - self._started
        left = seconds / (self.done - self._done_before) * (self.total - self.done)
        return (
            f"{self.done:,} of {self.total:,} parts, {self.rows / seconds:,.0f} {self._unit}/s, "
            f"{format_duration(left)} left"
        )
