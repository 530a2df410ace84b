"""The progress of many pieces of work."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator

from rich.progress import Progress, TaskID

from pipeline.progress_bar import format_duration, start_progress_bar

logger = logging.getLogger(__name__)

_LOG_SECONDS = 60.0  # between messages, where no bar is drawn


class PieceProgress:
    """How many pieces are done, how fast, and how long it takes.

    Attributes:
        total: the number of pieces.
        done: how many are done.
        rows: how many images, or rows, the pieces have that were done since the beginning.
    """

    def __init__(
        self, total: int, done: int, *, doing: str, pieces: str, unit: str = "images"
    ) -> None:
        """Begin with the pieces that are done already.

        Args:
            total: the number of pieces.
            done: how many are done.
            doing: what is done, such as `predicting`.
            pieces: what a piece is called, such as `parts`.
            unit: what is counted, such as `images`.
        """
        self.total = total
        self.done = done
        self._done_before = done
        self._doing, self._pieces, self._unit = doing, pieces, unit
        self.rows = 0
        self._started = self._logged = time.monotonic()
        self._bar: Progress | None = None
        self._task = TaskID(0)

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Show a progress bar in the block; messages from time to time without a terminal."""
        self._bar = start_progress_bar("{task.description}")
        if self._bar is not None:
            self._task = self._bar.add_task(
                self._doing, total=self.total, completed=self.done, note=""
            )
        try:
            yield
        finally:
            if self._bar is not None:
                self._bar.stop()

    def advance(self, rows: int) -> None:
        """Count a piece with so many images, or rows."""
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
            f"{self.done:,} of {self.total:,} {self._pieces}, "
            f"{self.rows / seconds:,.0f} {self._unit}/s, {format_duration(left)} left"
        )
