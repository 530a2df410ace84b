"""The index of a data set: what is known of its files, so that each is read once.

A start takes the state of every file, its size and modification time, and reads those whose state
is not in the index. As Git does, it reads a file again if its state was taken just after it was
modified: within the granularity of the clock, it may have changed without changing its state.
"""

from __future__ import annotations

import hashlib
import logging
import math
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pipeline import array_cache
from pipeline.data.file_examination import ExaminedFile, Verdict, examine_file
from pipeline.data.file_root import NO_STATE, FileRoot
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
from pipeline.secrets import mask_credentials

logger = logging.getLogger(__name__)

OnPixels = Callable[[int, np.ndarray], None]

_GRANULARITY = 2 * 10**9  # nanoseconds; FAT stores times in steps of two seconds
_FILES_PER_TASK = 64


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
    root: FileRoot,
    names: Sequence[str],
    *,
    decoding: Decoding | None = None,
    on_pixels: OnPixels | None = None,
) -> IndexedFiles:
    """Return what is known of files, after reading those that are new or changed.

    Other processes that index the same directory wait. An interruption keeps what was read.

    Args:
        root: what the names are relative to.
        names: of the files.
        decoding: how images become pixels for `on_pixels`; None if they need not.
        on_pixels: called in threads, with the number and the pixels of each image that is read.

    Raises:
        PipelineError: if the cache directory is not writable.
    """
    with array_cache.locked(index_key(root)):
        now = time.time_ns()
        states = root.states(names)
        known = read_index(root)
        stored_names = _stored_names(names)
        rows = _find_rows(known, stored_names, states)
        unknown = np.flatnonzero(rows < 0)
        if not len(unknown):
            return _indexed_files(known, rows, known, np.arange(len(known)))
        logger.info(f"Reading {len(unknown):,} new or changed files in {root}")
        rows[unknown] = len(known) + np.arange(len(unknown))
        states[np.abs(states[:, 1] - now) < _GRANULARITY, 1] = NO_STATE[1]

        def examine(row: int) -> ExaminedFile:
            number = int(unknown[row])
            read = partial(root.read, state=tuple(states[number].tolist()))
            facts = examine_file(names[number], decoding, read)
            if on_pixels and facts.pixels is not None:
                on_pixels(number, facts.pixels)
            return replace(facts, pixels=None)  # others may have to wait for a slow server

        with tempfile.TemporaryFile(dir=array_cache.cache_directory()) as scratch:
            unread = [stored_names[number] for number in unknown.tolist()]
            readings = Readings(scratch, unread, states[unknown])
            stored, chosen = known, np.arange(len(known))
            try:
                for facts in _in_threads(examine, len(unread), root.reading_threads(names)):
                    readings.add(facts)
            finally:
                new = readings.rows()
                if readings.is_lasting.any():
                    chosen = _rows_to_store(root, known, new, rows, readings.is_lasting)
                    stored = write_index(root, known, new, chosen)
        positions = np.full(len(known) + len(new), -1)
        positions[chosen] = np.arange(len(chosen))
        return _indexed_files(joined_rows(known, new), rows, stored, positions)


def _stored_names(names: Sequence[str]) -> Sequence[str]:
    """Return the names of files as the index has them: addresses have no passwords and no tokens.

    Where a token alone tells files from each other, a digest takes its place.
    """
    if not any("://" in name for name in names):
        return names
    masked = [mask_credentials(name) for name in names]
    counts = Counter(masked)
    return [
        shown if counts[shown] == 1 else f"{shown}#{hashlib.sha256(name.encode()).hexdigest()}"
        for shown, name in zip(masked, names, strict=True)
    ]


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


def _in_threads(
    examine: Callable[[int], ExaminedFile], count: int, threads: int
) -> Iterator[ExaminedFile]:
    """Yield what a function returns for each number below `count`, in order."""
    size = min(_FILES_PER_TASK, math.ceil(count / threads))

    def examine_some(start: int) -> list[ExaminedFile]:
        return [examine(number) for number in range(start, min(start + size, count))]

    bar = start_progress_bar("Reading files")
    pool = ThreadPoolExecutor(threads)
    try:
        task = bar.add_task("", total=count, note="") if bar else None
        for some in pool.map(examine_some, range(0, count, size)):
            yield from some
            if bar and task is not None:
                bar.advance(task, len(some))
    finally:
        pool.shutdown(cancel_futures=True)
        if bar:
            bar.stop()


def _rows_to_store(
    root: FileRoot, known: IndexRows, new: IndexRows, rows: np.ndarray, is_lasting: np.ndarray
) -> np.ndarray:
    """Return the rows that the new index consists of: of `known`, and above them of `new`.

    Files that are not listed keep their rows while they exist: another recipe may list them.
    """
    names, changed = known.names(), set(new.names())
    unlisted = [
        row
        for row in np.setdiff1d(np.arange(len(known)), rows).tolist()
        if names[row] not in changed and root.has(names[row])
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
