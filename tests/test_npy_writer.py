"""NumPy reads .npy files that were written row by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.npy_writer import npy_writer


@pytest.mark.parametrize("shape", [(), (3,), (2, 5)])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_numpy_maps_appended_rows(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    rows = np.random.default_rng(0).normal(size=(1234, *shape)).astype(dtype)
    with npy_writer(tmp_path / "rows.npy", np.dtype(dtype), shape) as append:
        for start in range(0, 1234, 100):
            append(rows[start : start + 100])
    read = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert read.dtype == rows.dtype
    np.testing.assert_array_equal(read, rows)


def test_a_file_without_rows_is_an_empty_array(tmp_path: Path) -> None:
    with npy_writer(tmp_path / "rows.npy", np.dtype("float32"), (3,)):
        pass
    assert np.load(tmp_path / "rows.npy").shape == (0, 3)
