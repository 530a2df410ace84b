"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pipeline.atomic_files import atomic_write


def test_a_file_is_replaced_and_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "file"
    atomic_write(path, b"the old content")
    with path.open("rb") as reader:  # as a kill while it is written would leave it to be read
        atomic_write(path, b"new")
        assert reader.read() == b"the old content"
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_private_file_is_private_before_it_has_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, modes = tmp_path / "file", []
    (tmp_path / ".file.part").touch()  # of a process that was killed, readable by everybody
    fsync = os.fsync

    def look(descriptor: int) -> None:
        modes.append(os.fstat(descriptor).st_mode & 0o777)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    atomic_write(path, b"secret", mode=0o600)
    assert modes[0] == path.stat().st_mode & 0o777 == 0o600


def test_what_was_there_stays_where_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    atomic_write(path, b"the old content")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"the old content"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
