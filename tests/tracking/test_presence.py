"""The states of runs whose process is gone."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from pipeline.tracking import presence
from pipeline.tracking import recorder as recording
from pipeline.tracking.presence import settle
from pipeline.tracking.recorder import Recorder
from pipeline.tracking.store import open_store


@pytest.fixture(scope="module")
def working_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        folder = tmp_path_factory.mktemp("store")
        patch.chdir(folder)
        yield folder


def begun() -> Recorder:
    return recording.start(
        open_store(None), experiment="ants", name="a run", description="", say=lambda message: None
    )


def die(recorder: Recorder) -> None:
    """Free what the system frees when a process dies."""
    assert recorder._presence.lock
    recorder._presence.lock.close()


def state_of(recorder: Recorder) -> str:
    return str(open_store(None).client.get_run(recorder.run_id).info.status)


def test_a_run_whose_process_is_gone_is_killed_for_the_next_command(working_folder: Path) -> None:
    recorder = begun()
    folder = recorder._presence.folder
    die(recorder)
    assert state_of(recorder) == "KILLED"
    tags = open_store(None).client.get_run(recorder.run_id).data.tags
    assert tags["reason"] == (
        "its process ended without a word: it was killed, or the machine went down"
    )
    assert not folder.exists()


def test_a_run_whose_process_lives_is_left_alone(working_folder: Path) -> None:
    recorder = begun()
    assert state_of(recorder) == "RUNNING"
    recorder.close("FINISHED")


def test_a_run_of_another_host_is_left_alone(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = begun()
    die(recorder)
    monkeypatch.setattr(platform, "node", lambda: "elsewhere")
    assert state_of(recorder) == "RUNNING"


def test_a_run_whose_lock_is_out_of_sight_is_left_alone(working_folder: Path) -> None:
    recorder = begun()
    (recorder._presence.folder / "lock").unlink()
    die(recorder)
    assert state_of(recorder) == "RUNNING"


def test_a_run_that_ends_while_it_is_looked_at_keeps_its_state(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = begun()

    def end_and_hold(path: Path) -> IO[str]:
        lock = path.open("a")
        recorder.close("FINISHED")
        return lock

    client = open_store(None).client
    monkeypatch.setattr(presence, "hold", end_and_hold)
    settle(client)
    monkeypatch.undo()
    run = client.get_run(recorder.run_id)
    assert run.info.status == "FINISHED"
    assert "reason" not in run.data.tags
