"""The states of runs whose process is gone."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from pipeline.tracking import liveness
from pipeline.tracking import run_logger as recording
from pipeline.tracking.liveness import mark_dead_runs
from pipeline.tracking.run_logger import RunLogger
from pipeline.tracking.store import open_store


@pytest.fixture(scope="module")
def working_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        folder = tmp_path_factory.mktemp("store")
        patch.chdir(folder)
        yield folder


def begun() -> RunLogger:
    return recording.start_run(open_store(None), experiment="ants", name="a run", description="")


def die(run_logger: RunLogger) -> None:
    """Free what the system frees when a process dies."""
    assert run_logger._presence.lock
    run_logger._presence.lock.close()


def state_of(run_logger: RunLogger) -> str:
    return str(open_store(None).client.get_run(run_logger.run_id).info.status)


def test_a_run_whose_process_is_gone_is_killed_for_the_next_command(working_folder: Path) -> None:
    run_logger = begun()
    folder = run_logger._presence.folder
    die(run_logger)
    assert state_of(run_logger) == "KILLED"
    tags = open_store(None).client.get_run(run_logger.run_id).data.tags
    assert tags["reason"] == (
        "its process ended without a word: it was killed, or the machine went down"
    )
    assert not folder.exists()


def test_a_run_whose_process_lives_is_left_alone(working_folder: Path) -> None:
    run_logger = begun()
    assert state_of(run_logger) == "RUNNING"
    run_logger.close("FINISHED")


def test_a_run_of_another_host_is_left_alone(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_logger = begun()
    die(run_logger)
    monkeypatch.setattr(platform, "node", lambda: "elsewhere")
    assert state_of(run_logger) == "RUNNING"


def test_a_run_whose_lock_is_out_of_sight_is_left_alone(working_folder: Path) -> None:
    run_logger = begun()
    (run_logger._presence.folder / "lock").unlink()
    die(run_logger)
    assert state_of(run_logger) == "RUNNING"


def test_a_run_that_ends_while_it_is_looked_at_keeps_its_state(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_logger = begun()

    def end_and_hold(path: Path) -> IO[str]:
        lock = path.open("a")
        run_logger.close("FINISHED")
        return lock

    client = open_store(None).client
    monkeypatch.setattr(liveness, "hold", end_and_hold)
    mark_dead_runs(client)
    monkeypatch.undo()
    run = client.get_run(run_logger.run_id)
    assert run.info.status == "FINISHED"
    assert "reason" not in run.data.tags
