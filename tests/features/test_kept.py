"""Entries appear whole or not at all, are computed once, and the oldest go first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.features import kept

PLENTY = 2**30


def writer(value: float, count: int = 1000, calls: list[float] | None = None):
    def make(folder: Path) -> None:
        if calls is not None:
            calls.append(value)
        np.save(folder / "numbers.npy", np.full(count, value))

    return make


def test_an_entry_is_made_once_and_read_from_the_disk_afterwards() -> None:
    calls: list[float] = []
    first, was_there = kept.get("a", writer(1.0, calls=calls), label="ones", limit=PLENTY)
    again, is_there = kept.get("a", writer(2.0, calls=calls), label="ones", limit=PLENTY)
    assert (was_there, is_there, calls) == (False, True, [1.0])
    assert isinstance(again["numbers"], np.memmap)
    np.testing.assert_array_equal(first["numbers"], again["numbers"])


def test_another_key_is_another_entry() -> None:
    assert kept.key_of({"seed": 1}) != kept.key_of({"seed": 2})
    assert kept.key_of({"a": 1, "b": 2}) == kept.key_of({"b": 2, "a": 1})


def test_what_fails_half_way_leaves_nothing(cache: Path) -> None:
    def make(folder: Path) -> None:
        np.save(folder / "numbers.npy", np.ones(10))
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        kept.get("a", make, label="ones", limit=PLENTY)
    assert [path.name for path in cache.iterdir()] == [".a.lock"]
    _, was_there = kept.get("a", writer(1.0), label="ones", limit=PLENTY)
    assert not was_there


def test_a_killed_process_leaves_nothing_half_valid(cache: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; import numpy as np\n"
        "from pipeline.features import kept\n"
        "def make(folder):\n"
        "    np.save(folder / 'numbers.npy', np.zeros(10)); print('half', flush=True)\n"
        "    time.sleep(60)\n"
        "kept.get('a', make, label='zeros', limit=2**30)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=os.environ)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    arrays, was_there = kept.get("a", writer(1.0), label="ones", limit=PLENTY)
    assert not was_there
    assert arrays["numbers"][0] == 1.0
    assert sorted(path.name for path in cache.iterdir()) == [".a.lock", "a"]


def test_two_processes_that_want_the_same_compute_it_once(cache: Path) -> None:
    code = (
        "import os, time; import numpy as np\n"
        "from pipeline.features import kept\n"
        "def make(folder):\n"
        "    time.sleep(1); np.save(folder / 'numbers.npy', np.array([os.getpid()]))\n"
        "arrays, was_there = kept.get('a', make, label='pid', limit=2**30)\n"
        "print(int(arrays['numbers'][0]), was_there)\n"
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


def test_over_the_limit_the_one_used_longest_ago_goes() -> None:
    for number, key in enumerate(("a", "b", "c")):
        kept.get(key, writer(number), label=key, limit=PLENTY)
        meta = kept.folder() / key / "entry.json"
        os.utime(meta, (time.time() - 100 + number, time.time() - 100 + number))
    kept.get("a", writer(0), label="a", limit=PLENTY)  # used again
    kept.get("d", writer(3), label="d", limit=3 * 8200)
    assert {entry.key for entry in kept.entries()} == {"a", "c", "d"}


def test_entries_are_listed_with_their_size(cache: Path) -> None:
    kept.get("a", writer(1.0, count=1000), label="ones", limit=PLENTY)
    (entry,) = kept.entries()
    assert (entry.key, entry.label, entry.size) == ("a", "ones", 8128)


def test_everything_can_be_cleared(cache: Path) -> None:
    kept.get("a", writer(1.0, count=1000), label="ones", limit=PLENTY)
    assert kept.clear() == 8128
    assert kept.entries() == []


def test_clearing_touches_nothing_else_in_the_folder(cache: Path) -> None:
    kept.get("a", writer(1.0), label="ones", limit=PLENTY)
    (cache / "thesis.txt").write_text("years of work")
    kept.clear()
    assert [path.name for path in cache.iterdir()] == ["thesis.txt"]


def test_a_folder_that_cannot_be_written_to_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PIPELINE_CACHE", str(tmp_path / "file"))
    with pytest.raises(PipelineError) as refused:
        kept.get("a", writer(1.0), label="ones", limit=PLENTY)
    assert str(refused.value) == (
        f"Features cannot be kept in {tmp_path / 'file'}: File exists. Name another folder in "
        "PIPELINE_CACHE."
    )
