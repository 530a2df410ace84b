"""The local store is created by another process while this one imports."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.tracking import early_store, store

# As `conftest.py` leaves it out of all other tests.
create_early: Callable[[str | None], threading.Thread | None] = early_store.create_early


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that are started."""
    found: list[list[str]] = []

    def run(command: list[str], **_: Any) -> None:
        found.append(command)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(early_store, "usable_threads", lambda: 2)
    return found


def wait() -> None:
    for thread in threading.enumerate():
        if thread.name == "early_store":
            thread.join()


def test_another_process_creates_the_local_store(
    in_empty_folder: Path, commands: list[list[str]]
) -> None:
    assert create_early(None)
    wait()
    assert commands == [[sys.executable, "-P", "-m", "pipeline.tracking.early_store"]]


@pytest.mark.parametrize("reason", ["recipe", "environment", "exists", "core"])
def test_no_process_is_started_without_need(
    reason: str,
    in_empty_folder: Path,
    commands: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if reason == "environment":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host")
    if reason == "exists":
        Path("mlruns").mkdir()
        Path("mlruns/mlflow.db").touch()
    if reason == "core":
        monkeypatch.setattr(early_store, "usable_threads", lambda: 1)
    assert not create_early("sqlite:///other.db" if reason == "recipe" else None)
    wait()
    assert commands == []


@pytest.mark.slow
def test_the_store_is_the_one_that_a_run_opens(in_empty_folder: Path) -> None:
    early_store._create()
    assert Path("mlruns/mlflow.db").is_file()
    created = Path("mlruns/mlflow.db").stat().st_ino
    opened = store.open_store(None)
    assert Path("mlruns/mlflow.db").stat().st_ino == created
    assert [each.name for each in opened.client.search_experiments()] == ["Default"]
