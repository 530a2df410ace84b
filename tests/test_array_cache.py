"""Cache entries are atomic, checksummed, computed once, and the least recently used go first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import array_cache
from pipeline.errors import PipelineError

PLENTY = 2**30


def writer(
    value: float, count: int = 1000, calls: list[float] | None = None
) -> Callable[[Path], dict[str, float]]:
    def make(directory: Path) -> dict[str, float]:
        if calls is not None:
            calls.append(value)
        np.save(directory / "numbers.npy", np.full(count, value))
        return {"value": value}

    return make


def get(key: str, make: Any, *, label: str, limit: int = PLENTY) -> array_cache.CachedArrays:
    return array_cache.get_or_compute(key, make, kind="features", label=label, limit=limit)


def test_an_entry_is_computed_once_and_then_read_from_disk() -> None:
    calls: list[float] = []
    first = get("a", writer(1.0, calls=calls), label="ones")
    again = get("a", writer(2.0, calls=calls), label="ones")
    assert (first.was_cached, again.was_cached, calls) == (False, True, [1.0])
    assert again.facts == {"value": 1.0}
    assert isinstance(again.arrays["numbers"], np.memmap)
    np.testing.assert_array_equal(first.arrays["numbers"], again.arrays["numbers"])


@pytest.mark.parametrize("name", ["numbers.npy", "entry.json"])
def test_a_corrupt_entry_is_computed_again(cache: Path, messages: list[str], name: str) -> None:
    get("a", writer(1.0), label="ones")
    file = cache / "a" / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    entry = get("a", writer(1.0), label="ones")
    assert not entry.was_cached
    assert entry.arrays["numbers"].mean() == 1.0
    assert messages == [f"WARNING: {file} is corrupt: computing ones again"]


def test_an_entry_with_a_missing_file_is_computed_again(cache: Path) -> None:
    get("a", writer(1.0), label="ones")
    (cache / "a" / "numbers.npy").unlink()
    assert not get("a", writer(1.0), label="ones").was_cached


def test_the_key_depends_on_values_but_not_on_their_order() -> None:
    assert array_cache.cache_key({"seed": 1}) != array_cache.cache_key({"seed": 2})
    assert array_cache.cache_key({"a": 1, "b": 2}) == array_cache.cache_key({"b": 2, "a": 1})


def test_a_failed_computation_leaves_no_entry(cache: Path) -> None:
    def make(directory: Path) -> None:
        np.save(directory / "numbers.npy", np.ones(10))
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        get("a", make, label="ones")
    assert [path.name for path in cache.iterdir()] == [".a.lock"]
    assert not get("a", writer(1.0), label="ones").was_cached


def test_a_killed_process_leaves_no_entry(cache: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; import numpy as np\n"
        "from pipeline import array_cache\n"
        "def make(directory):\n"
        "    np.save(directory / 'numbers.npy', np.zeros(10)); print('half', flush=True)\n"
        "    time.sleep(60)\n"
        "array_cache.get_or_compute('a', make, kind='features', label='zeros', limit=2**30)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=os.environ)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    entry = get("a", writer(1.0), label="ones")
    assert not entry.was_cached
    assert entry.arrays["numbers"][0] == 1.0
    assert sorted(path.name for path in cache.iterdir()) == [".a.lock", "a"]


def test_two_processes_compute_an_entry_once(cache: Path) -> None:
    code = (
        "import os, time; import numpy as np\n"
        "from pipeline import array_cache\n"
        "def make(directory):\n"
        "    time.sleep(1); np.save(directory / 'numbers.npy', np.array([os.getpid()]))\n"
        "    return {}\n"
        "entry = array_cache.get_or_compute('a', make, kind='features', label='pid', limit=2**30)\n"
        "print(int(entry.arrays['numbers'][0]), entry.was_cached)\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ
        )
        for _ in range(2)
    ]
    answers = [process.communicate()[0].split() for process in processes]
    assert answers[0][0] == answers[1][0]
    assert sorted(answer[1] for answer in answers) == ["False", "True"]


def test_above_the_limit_the_least_recently_used_entry_is_removed() -> None:
    for number, key in enumerate(("a", "b", "c")):
        get(key, writer(number), label=key)
        meta = array_cache.cache_directory() / key / "entry.json"
        os.utime(meta, (time.time() - 100 + number, time.time() - 100 + number))
    get("a", writer(0), label="a")  # used again
    get("d", writer(3), label="d", limit=3 * 8200)
    assert {entry.key for entry in array_cache.list_entries()} == {"a", "c", "d"}


def test_the_limit_applies_to_the_entries_of_one_kind() -> None:
    get("a", writer(0), label="a")
    array_cache.get_or_compute("i", writer(1), kind="index", label="i", limit=PLENTY)
    get("b", writer(2), label="b", limit=8200)
    assert {entry.key for entry in array_cache.list_entries()} == {"b", "i"}


def test_an_entry_can_be_replaced(cache: Path) -> None:
    get("a", writer(1.0), label="ones")
    with array_cache.locked("a"):
        before = array_cache.read_entry("a", label="ones")
        after = array_cache.write_entry(
            "a", writer(2.0), kind="features", label="twos", limit=PLENTY
        )
    assert before is not None
    assert (before.arrays["numbers"][0], after.arrays["numbers"][0]) == (1.0, 2.0)
    assert sorted(path.name for path in cache.iterdir()) == [".a.lock", "a"]


def test_entries_are_listed_with_their_size(cache: Path) -> None:
    get("a", writer(1.0, count=1000), label="ones")
    (entry,) = array_cache.list_entries()
    assert (entry.key, entry.label, entry.size) == ("a", "ones", 8128)


def test_clear_removes_all_entries(cache: Path) -> None:
    get("a", writer(1.0, count=1000), label="ones")
    assert array_cache.clear() == 8128
    assert array_cache.list_entries() == []


def test_clear_removes_leftovers_of_killed_processes(cache: Path) -> None:
    get("a", writer(1.0), label="ones")
    (cache / ".b.lock").touch()
    (cache / ".b-killed").mkdir()
    array_cache.clear()
    assert list(cache.iterdir()) == []


def test_clear_leaves_other_files(cache: Path) -> None:
    get("a", writer(1.0), label="ones")
    (cache / "thesis.txt").write_text("years of work")
    array_cache.clear()
    assert [path.name for path in cache.iterdir()] == ["thesis.txt"]


def test_a_directory_that_is_not_writable_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PIPELINE_CACHE", str(tmp_path / "file"))
    with pytest.raises(PipelineError) as refused:
        get("a", writer(1.0), label="ones")
    assert str(refused.value) == (
        f"Cannot write to the cache {tmp_path / 'file'}: File exists. Set PIPELINE_CACHE to "
        "another directory."
    )
