"""Rows of memory-mapped arrays, read without keeping their files in memory."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

_ROWS = 256  # at a time: the system maps up to 64 KiB around each


def read_rows(array: np.ndarray, rows: np.ndarray, dtype: Any) -> np.ndarray:
    """Return rows of an array, and take the pages of its file out of this process's memory.

    Otherwise, reading all rows would take as much memory as the file has bytes. The system may keep
    the pages in its file cache, from where they are mapped again.

    Args:
        array: (n, …), memory-mapped or not.
        rows: int (m,).
        dtype: of the result, (m, …).
    """
    result = np.empty((len(rows), *array.shape[1:]), dtype)
    for start in range(0, len(rows), _ROWS):
        part = slice(start, start + _ROWS)
        result[part] = array[rows[part]]
        if isinstance(array.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            array.base.madvise(mmap.MADV_DONTNEED)
    return result
