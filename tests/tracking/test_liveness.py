"""The status of runs whose process is gone."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from pipeline.tracking import liveness
from pipeline.tracking import run_logger as run_loggers
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


def started() -> RunLogger:
    return run_loggers.start_run(open_store(None), experiment="ants", name="a run", description="")


def die(run_logger: RunLogger) -> None:
    """Free what the system frees when a process dies."""
    assert run_logger._liveness.file
    run_logger._liveness.file.close()


def status_of(run_logger: RunLogger) -> str:
    return str(open_store(None).client.get_run(run_logger.run_id).info.status)


def test_a_run_whose_process_died_is_killed_by_the_next_command(working_folder: Path) -> None:
    run_logger = started()
    folder = run_logger._liveness.directory
    die(run_logger)
    assert status_of(run_logger) == "KILLED"
    tags = open_store(None).client.get_run(run_logger.run_id).data.tags
    assert tags["reason"] == (
        "The process ended unexpectedly: it was killed, or the machine went down."
    )
    assert not folder.exists()


def test_a_run_whose_process_lives_is_left_alone(working_folder: Path) -> None:
    run_logger = started()
    assert status_of(run_logger) == "RUNNING"
    run_logger.end("FINISHED")


def test_a_run_of_another_host_is_left_alone(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_logger = started()
    die(run_logger)
    monkeypatch.setattr(platform, "node", lambda: "elsewhere")
    assert status_of(run_logger) == "RUNNING"


def test_a_run_whose_lock_is_out_of_sight_is_left_alone(working_folder: Path) -> None:
    run_logger = started()
    (run_logger._liveness.directory / "lock").unlink()
    die(run_logger)
    assert status_of(run_logger) == "RUNNING"


def test_a_run_that_ends_while_it_is_looked_at_keeps_its_state(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_logger = started()

    def end_and_lock(path: Path) -> IO[str]:
        lock = path.open("a")
        run_logger.end("FINISHED")
        return lock

    client = open_store(None).client
    monkeypatch.setattr(liveness, "try_lock", end_and_lock)
    mark_dead_runs(client)
    monkeypatch.undo()
    run = client.get_run(run_logger.run_id)
    assert run.info.status == "FINISHED"
    assert "reason" not in run.data.tags
