"""Which store is used, and what is said when it cannot be."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest

from pipeline.errors import TrackingError
from pipeline.tracking import store
from pipeline.tracking.tracking_uri import resolve_uri


@pytest.fixture(autouse=True)
def databases_are_created(
    create_database: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Create databases from nothing, as users do."""
    monkeypatch.setattr(store, "_create", create_database)


def test_the_local_store_is_made_with_its_artifacts(in_empty_folder: Path) -> None:
    opened = store.open_store(None)
    store.experiment_id(opened, "ants")
    assert sorted(path.name for path in (in_empty_folder / "mlruns").iterdir()) == [
        ".lock",
        "artifacts",
        "mlflow.db",
    ]
    experiment = opened.client.get_experiment_by_name("ants")
    assert experiment.artifact_location == (in_empty_folder / "mlruns" / "artifacts").as_uri()


def test_a_database_that_a_kill_left_half_made_is_made_anew(in_empty_folder: Path) -> None:
    folder = in_empty_folder / "mlruns"
    folder.mkdir()
    with contextlib.closing(sqlite3.connect(folder / ".new-mlflow.db")) as half:
        half.execute("CREATE TABLE logged_models (id INTEGER)")
    opened = store.open_store(None)
    assert store.experiment_id(opened, "ants")
    assert not (folder / ".new-mlflow.db").exists()


def test_the_database_is_not_there_before_it_is_whole(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(mlflow.MlflowClient, "search_experiments", killed)
        with pytest.raises(KeyboardInterrupt):
            store.open_store(None)
    assert not (in_empty_folder / "mlruns" / "mlflow.db").exists()


def test_an_experiment_is_made_once(in_empty_folder: Path) -> None:
    opened = store.open_store(None)
    assert store.experiment_id(opened, "ants") == store.experiment_id(opened, "ants")


def test_a_deleted_experiment_is_an_error_that_says_how_to_restore_it(
    in_empty_folder: Path,
) -> None:
    opened = store.open_store(None)
    number = store.experiment_id(opened, "ants")
    opened.client.delete_experiment(number)
    with pytest.raises(TrackingError) as refused:
        store.experiment_id(opened, "ants")
    assert str(refused.value) == (
        f"The experiment 'ants' was deleted in {opened.uri}. Restore it with "
        f"`mlflow experiments restore -x {number}`, or set tracking.experiment to another name."
    )


def test_a_server_that_is_not_there_is_one_line(in_empty_folder: Path) -> None:
    with pytest.raises(TrackingError) as refused:
        store.open_store("http://127.0.0.1:9")
    message = str(refused.value)
    assert message.startswith("Cannot open the tracking store http://127.0.0.1:9: ")
    assert message.endswith(
        " Check tracking.uri and MLFLOW_TRACKING_URI, and that you may write there."
    )
    assert "\n" not in message


def test_a_server_s_password_is_not_told(in_empty_folder: Path) -> None:
    with pytest.raises(TrackingError) as failed:
        store.open_store("http://me:hunter2@127.0.0.1:9/")
    assert str(failed.value).startswith(
        "Cannot open the tracking store http://me:***@127.0.0.1:9/: "
    )
    assert "hunter2" not in str(failed.value)


def test_a_password_that_was_not_kept_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:hunter2@host")
    assert store.restore_credentials("https://me:***@host") == ("https://me:hunter2@host", {})
    assert store.restore_credentials("http://other") == ("http://other", {})
    with pytest.raises(TrackingError):
        store.restore_credentials("https://me:***@other")
    with pytest.raises(TrackingError):
        store.restore_credentials("sqlite:///${ZOO_KEY}.db")
    monkeypatch.setenv("ZOO_KEY", "ants")
    restored = store.restore_credentials("sqlite:///${ZOO_KEY}.db")
    assert restored == ("sqlite:///ants.db", {"ants": "${ZOO_KEY}"})


def test_a_database_that_is_locked_is_one_line(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    def refuse(**_: str) -> None:
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(mlflow, "MlflowClient", refuse)
    with pytest.raises(TrackingError) as refused:
        store.open_store(None)
    assert str(refused.value) == (
        f"Cannot open the tracking store {resolve_uri(None)}: database is locked. Another "
        "process is writing to it: wait for it, or end it."
    )


@pytest.mark.slow
def test_several_processes_create_the_store_and_record_at_once(in_empty_folder: Path) -> None:
    code = """
from pipeline.tracking import run_logger, store
opened = store.open_store(None)
record = run_logger.start_run(opened, experiment='ants', name='run', description='')
for step in range(30):
    record.log_metrics({'loss': step / 3, 'accuracy': step / 7}, step=step)
record.end('FINISHED')
assert record.outbox is None
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        for _ in range(3)
    ]
    said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    client = store.open_store(None).client
    (experiment,) = [e for e in client.search_experiments() if e.name == "ants"]
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"] * 3
    for run in runs:
        for name, divisor in (("loss", 3), ("accuracy", 7)):
            history = client.get_metric_history(run.info.run_id, name)
            values = [(metric.step, metric.value) for metric in history]
            assert values == [(step, step / divisor) for step in range(30)]


def test_the_newest_run_is_found(in_empty_folder: Path) -> None:
    opened = store.open_store(None)
    assert store.newest_run(opened) is None
    number = store.experiment_id(opened, "ants")
    opened.client.create_run(number, start_time=1)
    newest = opened.client.create_run(number, start_time=2)
    assert store.newest_run(opened).info.run_id == newest.info.run_id
