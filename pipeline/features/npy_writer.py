"""Arrays written to a .npy file row by row, whose number of rows is known at the end alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np


@contextlib.contextmanager
def npy_writer(
    path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> Iterator[Callable[[np.ndarray], None]]:
    """Open a .npy file and yield what appends rows (n, *shape) to it."""
    count = 0

    def append(rows: np.ndarray) -> None:
        nonlocal count
        file.write(np.ascontiguousarray(rows, dtype).data)
        count += len(rows)

    def header() -> None:  # it leaves room for a first dimension of any size
        described = np.lib.format.dtype_to_descr(dtype)
        np.lib.format.write_array_header_2_0(
            file, {"descr": described, "fortran_order": False, "shape": (count, *shape)}
        )

    with path.open("wb") as file:
        header()
        yield append
        file.seek(0)
        header()
