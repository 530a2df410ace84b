"""The record of a run, also while its store is away."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from mlflow.models import Model

from pipeline.cli import main
from pipeline.tracking import run_logger as recording
from pipeline.tracking.store import Store, open_store


class Interruptible:
    """A client that can be cut off from its store."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.is_cut_off = False

    def __getattr__(self, name: str) -> Any:
        if self.is_cut_off:
            raise ConnectionError("no route to the server")
        return getattr(self._client, name)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_RETRY_SECONDS", 0.01)


def started(messages: list[str]) -> tuple[recording.RunLogger, Interruptible]:
    store = open_store(None)
    client = Interruptible(store.client)
    run_logger = recording.start_run(
        Store(store.uri, client, store.artifacts),
        experiment="ants",
        name="a run",
        description="what it is for",
        say=messages.append,
    )
    return run_logger, client


def put_a_file(folder: Path) -> None:
    (folder / "names.txt").write_text("ants, bees")


def test_everything_reaches_the_store(in_empty_folder: Path) -> None:
    run_logger, client = started([])
    run_logger.parameters({f"key.{i}": str(i) for i in range(150)})
    run_logger.tags({"seed": "7"})
    run_logger.metrics({"epoch/loss": 0.5}, step=1)
    run_logger.metrics({"epoch/loss": 0.25}, step=2)
    run_logger.dataset(
        name="ants", digest="a" * 64, source_type="local", source="{}", counts={"train": 3}
    )
    run_logger.artifacts(put_a_file)
    assert run_logger.close("FINISHED") is None

    run = client.get_run(run_logger.run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "a run")
    assert run.data.tags["mlflow.note.content"] == "what it is for"
    assert len(run.data.params) == 150
    assert run.data.tags["seed"] == "7"
    history = client.get_metric_history(run_logger.run_id, "epoch/loss")
    assert [(metric.step, metric.value) for metric in history] == [(1, 0.5), (2, 0.25)]
    assert [item.path for item in client.list_artifacts(run_logger.run_id)] == ["names.txt"]
    assert run.inputs.dataset_inputs[0].dataset.digest == "a" * 36


@pytest.mark.parametrize("state", ["FINISHED", "FAILED", "KILLED"])
def test_the_state_is_true(in_empty_folder: Path, state: Any) -> None:
    run_logger, client = started([])
    assert client.get_run(run_logger.run_id).info.status == "RUNNING"
    run_logger.close(state)
    assert client.get_run(run_logger.run_id).info.status == state


def test_what_a_store_misses_is_sent_when_it_is_back(in_empty_folder: Path) -> None:
    messages: list[str] = []
    run_logger, client = started(messages)
    client.is_cut_off = True
    run_logger.metrics({"epoch/loss": 0.5}, step=1)
    while not messages:
        pass
    client.is_cut_off = False
    run_logger.metrics({"epoch/loss": 0.25}, step=2)
    assert run_logger.close("FINISHED") is None
    history = client.get_metric_history(run_logger.run_id, "epoch/loss")
    assert [metric.step for metric in history] == [1, 2]
    assert messages == [
        f"The store {run_logger.uri} does not take what the run records: no route to the server. "
        "The run goes on; it is kept and sent later.",
        f"The store {run_logger.uri} is back; everything recorded so far is sent.",
    ]


def test_what_cannot_be_sent_is_left_in_a_folder_that_says_how_to(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages: list[str] = []
    run_logger, client = started(messages)
    client.is_cut_off = True
    run_logger.metrics({"epoch/loss": 0.5}, step=1)
    run_logger.artifacts(put_a_file)
    kept = run_logger.close("FINISHED")
    assert kept == in_empty_folder / "mlruns" / "undelivered" / run_logger.run_id
    assert messages[-1] == (
        f"Not everything could be sent to {run_logger.uri}. It is kept in {kept}; "
        f"send it with: pipeline deliver {kept}"
    )

    client.is_cut_off = False
    assert main(["deliver", str(kept)]) == 0
    out = capsys.readouterr().out
    assert out == f"3 parts of run {run_logger.run_id} sent to {run_logger.uri}\n"
    run = client.get_run(run_logger.run_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"epoch/loss": 0.5})
    assert [item.path for item in client.list_artifacts(run_logger.run_id)] == ["names.txt"]
    assert not kept.exists()


def test_a_password_of_the_store_is_neither_said_nor_left_in_a_folder(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages: list[str] = []
    local = open_store(None)
    client = Interruptible(local.client)
    run_logger = recording.start_run(
        Store("https://me:hunter2@host", client, local.artifacts),
        experiment="ants",
        name="a run",
        description="",
        say=messages.append,
    )
    client.is_cut_off = True
    run_logger.metrics({"epoch/loss": 0.5}, step=1)
    kept = run_logger.close("FINISHED")
    assert run_logger.uri == "https://me:***@host"
    assert "hunter2" not in "".join(messages)
    assert "hunter2" not in (kept / "deliveries.json").read_text()
    assert main(["deliver", str(kept)]) == 1
    assert capsys.readouterr().err == (
        "Error: The password of https://me:***@host was not kept. Name the whole address with "
        "--uri or in MLFLOW_TRACKING_URI.\n"
    )
    assert main(["deliver", str(kept), "--uri", local.uri]) == 0


def test_a_class_s_name_that_mlflow_does_not_take_is_written_with_underscores(
    in_empty_folder: Path,
) -> None:
    run_logger, client = started([])
    run_logger.metrics({"val_f1/C++ (language)": 0.5})
    assert run_logger.close("FINISHED") is None
    metrics = client.get_run(run_logger.run_id).data.metrics
    assert metrics == {"val_f1/C__ _language_": 0.5}


def test_what_the_store_refuses_for_good_does_not_hold_up_the_rest(in_empty_folder: Path) -> None:
    messages: list[str] = []
    run_logger, client = started(messages)
    run_logger.tags({"not allowed!": "x"})
    run_logger.metrics({"loss": 1.0})
    assert run_logger.close("FINISHED") is None
    run = client.get_run(run_logger.run_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"loss": 1.0})
    assert messages[0].startswith("The store refuses some tags of the run: ")


def test_a_folder_without_deliveries_is_refused(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deliver", "nothing"]) == 2
    assert capsys.readouterr().err.startswith("Error: nothing holds nothing that a run left: ")


def test_what_is_waiting_when_time_is_up_is_left_in_full(in_empty_folder: Path) -> None:
    run_logger, client = started([])
    is_busy, may_go_on = threading.Event(), threading.Event()

    def wait(*_: Any, **__: Any) -> None:
        is_busy.set()
        may_go_on.wait()

    client.log_batch = wait  # type: ignore[attr-defined]
    run_logger.metrics({"epoch/loss": 0.5}, step=1)
    run_logger.metrics({"epoch/loss": 0.25}, step=2)
    is_busy.wait()
    run_logger.artifacts(put_a_file)
    kept = run_logger.close("KILLED", within=0.0)
    may_go_on.set()
    assert kept
    del client.log_batch  # type: ignore[attr-defined]
    assert main(["deliver", str(kept)]) == 0
    run = client.get_run(run_logger.run_id)
    assert (run.info.status, run.data.metrics) == ("KILLED", {"epoch/loss": 0.25})
    assert [item.path for item in client.list_artifacts(run_logger.run_id)] == ["names.txt"]


def test_a_model_that_was_sent_in_part_is_sent_again_as_the_same_one(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_logger, client = started([])
    send = client.log_model_artifacts
    failures = iter([ConnectionError("the line broke")])

    def break_once(*arguments: Any) -> None:
        for failure in failures:
            raise failure
        send(*arguments)

    client.log_model_artifacts = break_once  # type: ignore[attr-defined]

    def write(folder: Path) -> None:
        Model().save(str(folder / "MLmodel"))

    folder = run_logger.model(write)
    while run_logger._waiting:
        pass
    assert folder.is_dir()  # until the run is closed
    assert run_logger.close("FINISHED") is None
    assert not folder.exists()
    run = client.get_run(run_logger.run_id)
    (logged,) = client.search_logged_models([run.info.experiment_id])
    assert [output.model_id for output in run.outputs.model_outputs] == [logged.model_id]
    assert str(logged.status) == "READY"
