"""What a reference means is remembered until the database changes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.entities import LoggedModelOutput

from pipeline.tracking.lookup import LATEST, find_model, remember_model
from pipeline.tracking.lookup_cache import recall, remember, state_of
from pipeline.tracking.store import open_store
from pipeline.tracking.stored_model import StoredModel
from pipeline.workflows.single_run import RunResult

MODEL = StoredModel("models:/m-1", "0" * 32, "ants", "1", "file:///models/m-1", "m-1")


def write(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "mlflow.db"
    write(path, "CREATE TABLE runs (name TEXT)")
    return path


@pytest.fixture
def address(database: Path) -> str:
    return f"sqlite:///{database}"


def test_a_model_is_remembered_by_what_it_was_called(address: str) -> None:
    state = state_of(address)
    remember(address, "latest", MODEL, state)
    remember(address, "ants", replace(MODEL, uri="models:/m-2"), state)
    assert recall(address, "latest") == MODEL
    assert recall(address, "ants") == replace(MODEL, uri="models:/m-2")
    assert recall(address, "bees") is None


def test_a_transaction_of_the_same_size_and_time_makes_it_forget(
    database: Path, address: str
) -> None:
    write(database, "INSERT INTO runs VALUES ('ants')")
    remember(address, "latest", MODEL, state_of(address))
    before = database.stat()
    write(database, "UPDATE runs SET name = 'bees'")
    os.utime(database, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = database.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert recall(address, "latest") is None
    remember(address, "ants", MODEL, state_of(address))
    assert recall(address, "latest") is None
    assert recall(address, "ants") == MODEL


def test_nothing_is_remembered_if_the_store_changed_meanwhile(database: Path, address: str) -> None:
    state = state_of(address)
    write(database, "INSERT INTO runs VALUES ('bees')")
    remember(address, "latest", MODEL, state)
    assert recall(address, "latest") is None


def journal(database: Path) -> None:
    Path(f"{database}-journal").touch()


def write_ahead(database: Path) -> None:
    write(database, "PRAGMA journal_mode=WAL")


def empty(database: Path) -> None:
    database.write_bytes(b"")


@pytest.mark.parametrize("change", [journal, write_ahead, empty, Path.unlink])
def test_a_database_whose_header_does_not_tell_changes_has_no_state(
    database: Path, address: str, change: Callable[[Path], None]
) -> None:
    remember(address, "latest", MODEL, state_of(address))
    change(database)
    assert state_of(address) is None
    assert recall(address, "latest") is None


def test_a_server_has_no_state() -> None:
    assert state_of("http://127.0.0.1:5000") is None
    remember("http://127.0.0.1:5000", "latest", MODEL, None)
    assert recall("http://127.0.0.1:5000", "latest") is None


@pytest.mark.parametrize("text", ["", "[]", '{"state": 3}', "{"])
def test_a_damaged_file_is_ignored(cache: Path, address: str, text: str) -> None:
    remember(address, "latest", MODEL, state_of(address))
    (file,) = cache.glob("lookups-*.json")
    file.write_text(text)
    assert recall(address, "latest") is None
    remember(address, "latest", MODEL, state_of(address))
    assert recall(address, "latest") == MODEL


def test_a_finished_run_is_remembered_by_all_that_it_is_called(digits_run: RunResult) -> None:
    store = open_store(digits_run.tracking_uri)
    remember_model(store, digits_run.run_id, "digits")
    found = find_model(store, digits_run.run_id)
    for reference in (LATEST, "digits", digits_run.run_id):
        assert recall(store.address, reference) == found
    store.client.set_tag(digits_run.run_id, "seen", "yes")
    assert recall(store.address, LATEST) is None


def test_a_run_that_ends_after_a_newer_one_is_remembered_by_its_id_alone(
    digits_run: RunResult,
) -> None:
    store = open_store(digits_run.tracking_uri)
    experiment = store.client.get_run(digits_run.run_id).info.experiment_id
    newer = store.client.create_run(experiment, run_name="digits").info.run_id
    logged = store.client.create_logged_model(experiment, "model", newer).model_id
    store.client.log_outputs(newer, [LoggedModelOutput(logged, step=0)])
    remember_model(store, digits_run.run_id, "digits")
    recalled = [recall(store.address, name) for name in (digits_run.run_id, "digits", LATEST)]
    store.client.delete_run(newer)
    assert [model and model.run_id for model in recalled] == [digits_run.run_id, newer, newer]


def test_a_remembered_model_predicts_without_mlflow(
    digits_run: RunResult, digits_graph_model: Path, digit_files: Path
) -> None:
    address = digits_run.tracking_uri
    model = replace(MODEL, location=digits_graph_model.parent.as_uri())
    remember(address, "ants", model, state_of(address))
    code = (
        "import sys; from pipeline.cli import main; assert main(sys.argv[1:]) == 0; "
        "loaded = {'mlflow', 'sqlalchemy', 'tensorflow', 'pandas'} & set(sys.modules); "
        "assert not loaded, loaded"
    )
    arguments = ["predict", "ants", str(digit_files / "003_3.png"), "--uri", address]
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].split(",")[1] == "3"
    assert "Using the model of run ants" in done.stderr
