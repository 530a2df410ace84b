"""The index of a data set: what is known of its files, so that each is read once.

A start takes the state of every file, its size and modification time, and reads those whose state
is not in the index. As Git does, it reads a file again if its state was taken just after it was
modified: within the granularity of the clock, it may have changed without changing its state.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import array_cache
from pipeline.data.file_examination import ExaminedFile, Verdict, examine_file
from pipeline.data.image_decoding import Decoding
from pipeline.data.index_entry import (
    IndexRows,
    Readings,
    index_key,
    joined_rows,
    names_as_text,
    read_index,
    write_index,
)
from pipeline.progress_bar import start_progress_bar

logger = logging.getLogger(__name__)

OnPixels = Callable[[int, np.ndarray], None]

_GRANULARITY = 2 * 10**9  # nanoseconds; FAT stores times in steps of two seconds
_NEVER = np.iinfo(np.int64).min  # the modification time of no file
_FILES_PER_TASK = 64
_STATES_PER_TASK = 4096
_STATE_THREADS = 16  # hide the latency of a network file system


@dataclass(frozen=True)
class IndexedFiles:
    """What is known of n files.

    Attributes:
        records: (n,) of `RECORD`.
        reasons: why a file is unreadable, or no image, by its number.
    """

    records: np.ndarray
    reasons: Mapping[int, str]
    _thumbnails: np.ndarray
    _rows: np.ndarray

    @property
    def verdicts(self) -> np.ndarray:
        """uint8 (n,), each a `Verdict`."""
        return self.records["verdict"]

    @property
    def digests(self) -> np.ndarray:
        """uint8 (n, 32), SHA-256 of each file that was read."""
        return self.records["digest"]

    def thumbnails(self) -> np.ndarray:
        """Return uint8 (images, 16, 16, 3) of the files that are images, in their order.

        They are memory-mapped if the index has them in the same order.
        """
        count = len(self._rows)
        if np.array_equal(self._rows, np.arange(count)):
            return self._thumbnails[:count]
        return self._thumbnails[self._rows]


def index_files(
    root: Path,
    names: Sequence[str],
    *,
    decoding: Decoding | None = None,
    on_pixels: OnPixels | None = None,
) -> IndexedFiles:
    """Return what is known of files, after reading those that are new or changed.

    Other processes that index the same directory wait. An interruption keeps what was read.

    Args:
        root: the directory of the data set.
        names: of its files, relative to `root` or absolute.
        decoding: how images become pixels for `on_pixels`; None if they need not.
        on_pixels: called in threads, with the number and the pixels of each image that is read.

    Raises:
        PipelineError: if the cache directory is not writable.
    """
    with array_cache.locked(index_key(root)):
        now = time.time_ns()
        states = _file_states(root, names)
        known = read_index(root)
        rows = _find_rows(known, names, states)
        unknown = np.flatnonzero(rows < 0)
        if not len(unknown):
            return _indexed_files(known, rows, known, np.arange(len(known)))
        logger.info(f"Reading {len(unknown):,} new or changed files in {root}")
        rows[unknown] = len(known) + np.arange(len(unknown))
        states[np.abs(states[:, 1] - now) < _GRANULARITY, 1] = _NEVER

        def examine(row: int) -> ExaminedFile:
            number = int(unknown[row])
            path = os.path.join(root, names[number])  # noqa: PTH118, called for each file
            facts = examine_file(path, decoding)
            if on_pixels and facts.pixels is not None:
                on_pixels(number, facts.pixels)
            return facts

        with tempfile.TemporaryFile(dir=array_cache.cache_directory()) as scratch:
            unread = [names[number] for number in unknown.tolist()]
            readings = Readings(scratch, unread, states[unknown])
            stored, chosen = known, np.arange(len(known))
            try:
                for facts in _in_threads(examine, len(unread)):
                    readings.add(facts)
            finally:
                new = readings.rows()
                if readings.is_lasting.any():
                    chosen = _rows_to_store(root, known, new, rows, readings.is_lasting)
                    stored = write_index(root, known, new, chosen)
        positions = np.full(len(known) + len(new), -1)
        positions[chosen] = np.arange(len(chosen))
        return _indexed_files(joined_rows(known, new), rows, stored, positions)


def _file_states(root: Path, names: Sequence[str]) -> np.ndarray:
    """Return size and modification time of each file, int64 (n, 2); -1 of a file without them."""
    states = np.empty((len(names), 2), np.int64)

    def take(start: int) -> None:
        for number in range(start, min(start + _STATES_PER_TASK, len(names))):
            try:
                status = os.stat(os.path.join(root, names[number]))  # noqa: PTH116, PTH118
                states[number] = status.st_size, status.st_mtime_ns
            except (OSError, ValueError):  # a name may be no name that a file can have
                states[number] = -1, _NEVER

    with ThreadPoolExecutor(_STATE_THREADS) as threads:
        list(threads.map(take, range(0, len(names), _STATES_PER_TASK)))
    return states


def _find_rows(known: IndexRows, names: Sequence[str], states: np.ndarray) -> np.ndarray:
    """Return the row of each file whose state is in the index, int64 (n,); -1 of the others."""
    text = names_as_text(names)
    if known.text.startswith(text) and text.count("\0") == len(names):  # the usual second start
        rows = np.arange(len(names))
    else:
        row_of = {name: row for row, name in enumerate(known.names())}
        rows = np.array([row_of.get(name, -1) for name in names], np.int64)
    found = np.flatnonzero(rows >= 0)
    records = known.records[rows[found]]
    is_changed = (records["size"] != states[found, 0]) | (records["modified"] != states[found, 1])
    rows[found[is_changed]] = -1
    return rows


def _in_threads(examine: Callable[[int], ExaminedFile], count: int) -> Iterator[ExaminedFile]:
    """Yield what a function returns for each number below `count`, in order."""

    def examine_some(start: int) -> list[ExaminedFile]:
        return [examine(number) for number in range(start, min(start + _FILES_PER_TASK, count))]

    bar = start_progress_bar("Reading files")
    threads = ThreadPoolExecutor(os.cpu_count())
    try:
        task = bar.add_task("", total=count, note="") if bar else None
        for some in threads.map(examine_some, range(0, count, _FILES_PER_TASK)):
            yield from some
            if bar and task is not None:
                bar.advance(task, len(some))
    finally:
        threads.shutdown(cancel_futures=True)
        if bar:
            bar.stop()


def _rows_to_store(
    root: Path, known: IndexRows, new: IndexRows, rows: np.ndarray, is_lasting: np.ndarray
) -> np.ndarray:
    """Return the rows that the new index consists of: of `known`, and above them of `new`.

    Files that are not listed keep their rows while they exist: another recipe may list them.
    """
    names, changed = known.names(), set(new.names())
    unlisted = [
        row
        for row in np.setdiff1d(np.arange(len(known)), rows).tolist()
        if names[row] not in changed and os.path.exists(root / names[row])  # noqa: PTH110
    ]
    is_stored = np.concatenate([np.ones(len(known), bool), is_lasting])
    return np.concatenate([rows[is_stored[rows]], np.array(unlisted, np.int64)])


def _indexed_files(
    index: IndexRows, rows: np.ndarray, stored: IndexRows, positions: np.ndarray
) -> IndexedFiles:
    """Return what is known of listed files.

    Args:
        index: what is known.
        rows: int (n,), the row of each file in it.
        stored: the index that was stored, with thumbnails.
        positions: int, the row of each row of `index` in `stored`.
    """
    records = index.records[rows]
    is_image = records["verdict"] == Verdict.IMAGE
    reasons = {number: index.reasons[rows[number]] for number in np.flatnonzero(~is_image).tolist()}
    numbers = stored.thumbnail_numbers()[positions[rows[is_image]]]
    return IndexedFiles(records, reasons, stored.thumbnails, numbers)
