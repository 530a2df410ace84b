"""Write a .npy file row by row, without knowing the number of rows beforehand."""

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
    """Open a .npy file and yield a function that appends rows (n, *shape) to it."""
    count = 0

    def append(rows: np.ndarray) -> None:
        nonlocal count
        file.write(np.ascontiguousarray(rows, dtype).data)
        count += len(rows)

    def write_header() -> None:  # NumPy leaves room in it for any number of rows
        descr = np.lib.format.dtype_to_descr(dtype)
        np.lib.format.write_array_header_2_0(
            file, {"descr": descr, "fortran_order": False, "shape": (count, *shape)}
        )

    with path.open("wb") as file:
        write_header()
        yield append
        file.seek(0)
        write_header()
