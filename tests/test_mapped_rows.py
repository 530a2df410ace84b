"""Rows of memory-mapped arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.mapped_rows import read_rows


def test_rows_are_those_of_the_array_in_the_type_asked_for() -> None:
    array = np.random.default_rng(0).normal(size=(700, 3)).astype(np.float16)
    rows = np.random.default_rng(1).integers(0, 700, 600)
    read = read_rows(array, rows, np.float32)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, array[rows])


def test_rows_that_were_read_do_not_stay_in_memory(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.ones((1000, 1024), np.float32))
    array = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert read_rows(array, np.arange(1000), np.float32).sum() == array.size
    of_file = Path("/proc/self/smaps").read_text(encoding="utf-8").partition("rows.npy")[2]
    resident = next(line for line in of_file.splitlines() if line.startswith("Rss:"))
    assert resident.split() == ["Rss:", "0", "kB"]
