"""pipeline cache"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline import array_cache
from pipeline.cli import main
from pipeline.download_cache import DownloadCache, downloaded_files


def ones(directory: Path) -> dict[str, str]:
    np.save(directory / "numbers.npy", np.ones(1000))
    return {}


@pytest.fixture(autouse=True)
def entry(cache: Path) -> None:
    array_cache.get_or_compute("a" * 40, ones, kind="features", label="resnet50 train", limit=2**30)


def test_lists_entries_with_their_size(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache"]) == 0
    entry, total = capsys.readouterr().out.splitlines()
    assert entry.split("  ")[0] == "aaaaaaaaaaaa"
    assert entry.endswith("  resnet50 train")
    assert "  7.9 KiB  " in entry
    assert total == f"Entries: 1, size: 7.9 KiB, in {cache}"


def test_clear_removes_all_entries(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out == f"Freed 7.9 KiB in {cache}\n"
    assert array_cache.list_entries() == []


def test_downloaded_files_are_counted_and_removed(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    DownloadCache(2**20).write("s3://bucket/1.jpg", bytes(2044))
    assert main(["cache"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "Downloaded files: 1, size: 2.0 KiB",
        f"Entries: 1, size: 7.9 KiB, in {cache}",
    ]
    assert main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out == f"Freed 9.9 KiB in {cache}\n"
    assert downloaded_files() == (0, 0)
