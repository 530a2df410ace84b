"""Downloaded files are kept whole, in a limited number of bytes, for threads and processes."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.download_cache import DownloadCache, clear_downloads, downloaded_files
from pipeline.errors import PipelineError

KIB = 1024


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIPELINE_CACHE", str(tmp_path))
    return tmp_path


def files_in(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if len(path.name) == 64]


def test_a_file_is_read_as_it_was_written() -> None:
    cache = DownloadCache(KIB)
    assert cache.read("a") is None
    cache.write("a", b"one")
    assert pickle.loads(pickle.dumps(cache)).read("a") == b"one"
    assert cache.read("b") is None


def test_the_least_recently_used_files_go_first(directory: Path) -> None:
    cache = DownloadCache(10 * KIB)
    for number, name in enumerate("abcdefgh"):
        cache.write(name, bytes(KIB))
        for path in files_in(directory):
            if path.stat().st_mtime > 1e9:
                os.utime(path, (number, number))
    assert cache.read("a")  # which makes it the last one used
    cache.write("i", bytes(2 * KIB))
    kept = [name for name in "abcdefghi" if cache.read(name)]
    assert kept == ["a", "d", "e", "f", "g", "h", "i"]
    assert downloaded_files()[1] <= 10 * KIB


def test_a_file_above_the_limit_is_not_kept() -> None:
    cache = DownloadCache(KIB)
    cache.write("small", b"1")
    cache.write("large", bytes(2 * KIB))
    assert (cache.read("small"), cache.read("large")) == (b"1", None)


@pytest.mark.parametrize("damage", [b"", b"on", b"onf\x8a\x9d\xdb\x8f"])
def test_a_damaged_file_is_absent(directory: Path, damage: bytes) -> None:
    cache = DownloadCache(KIB)
    cache.write("a", b"one")
    (path,) = files_in(directory)
    path.write_bytes(damage)
    assert cache.read("a") is None
    assert not path.exists()


def test_no_name_is_outside_the_directory(directory: Path) -> None:
    cache = DownloadCache(KIB)
    names = ["../../x", "/etc/passwd", "a\0b", "a\nb", "\udcff", "x" * 5000, "", ".."]
    for name in names:
        cache.write(name, name.encode("utf-8", "surrogatepass")[:9])
    assert all(cache.read(name) is not None for name in names)
    downloads = directory / "downloads"
    assert {path for path in directory.rglob("*") if path.is_file()} == {
        *files_in(downloads),
        *(downloads / name for name in ("total", ".lock")),
    }
    assert len(files_in(downloads)) == len(names)


def test_threads_and_processes_share_the_limit(directory: Path) -> None:
    code = (
        "import sys; from pipeline.download_cache import DownloadCache\n"
        "cache = DownloadCache(20480)\n"
        "for number in range(60):\n"
        "    cache.write(f'{sys.argv[1]} {number}', bytes([number]) * 1000)\n"
        "    assert cache.read(f'{sys.argv[1]} {number}') in (None, bytes([number]) * 1000)\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "ab"]
    cache = DownloadCache(20 * KIB)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: cache.write(f"{number}", bytes(1000)), range(60)))
    assert [process.wait() for process in processes] == [0, 0]
    count, size = downloaded_files()
    assert 0.7 * 20 * KIB < size <= 20 * KIB
    assert count == len(files_in(directory))
    assert (directory / "downloads" / "total").read_text() == str(size)


def test_everything_can_be_removed(directory: Path) -> None:
    cache = DownloadCache(KIB)
    assert clear_downloads() == 0
    cache.write("a", b"one")
    assert downloaded_files() == (1, 7)
    assert clear_downloads() == 7
    assert files_in(directory) == []


def test_what_a_killed_process_left_is_removed(directory: Path) -> None:
    cache = DownloadCache(KIB)
    cache.write("a", b"one")
    left, new = (directory / "downloads" / "aa" / name for name in (".left", ".new"))
    left.parent.mkdir(exist_ok=True)
    for path in (left, new):
        path.write_bytes(b"half")
    os.utime(left, (1, 1))
    clear_downloads()
    assert (left.exists(), new.exists()) == (False, True)  # the new one is being written


def test_a_directory_that_is_not_writable_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PIPELINE_CACHE", str(tmp_path / "file"))
    with pytest.raises(PipelineError) as error:
        DownloadCache(KIB).write("a", b"one")
    assert str(error.value) == (
        f"Cannot write to the cache {tmp_path}/file/downloads: Not a directory. Free disk space "
        "(pipeline cache --clear), lower data.cache_gb, or set PIPELINE_CACHE to another directory."
    )
