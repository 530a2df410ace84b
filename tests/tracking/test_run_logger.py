"""Logging a run, also while its tracking store is unreachable."""

from __future__ import annotations

import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow.models import Model

from pipeline.cli import main
from pipeline.tracking import background_writer
from pipeline.tracking import run_logger as run_loggers
from pipeline.tracking.background_writer import RetrySchedule
from pipeline.tracking.run_logger import RunLogger
from pipeline.tracking.store import Store, open_store
from pipeline.tracking.trial_runs import TrialRun, logged_trials


class Interruptible:
    """A client whose connection to the store can be cut."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.is_cut_off = False

    def __getattr__(self, name: str) -> Any:
        if self.is_cut_off:
            raise ConnectionError("no route to the server")
        return getattr(self._client, name)


@pytest.fixture(autouse=True)
def retry_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_writer, "RETRIES", RetrySchedule(0.01, after_end=[0.0]))


def started(**options: Any) -> tuple[RunLogger, Interruptible]:
    store = open_store(None)
    client = Interruptible(store.client)
    run_logger = run_loggers.start_run(
        Store(options.pop("uri", store.uri), client, store.artifacts, options),
        experiment="ants",
        name="a run",
        description="what it is for",
    )
    return run_logger, client


def trial(number: int, status: str = "FINISHED", **changes: Any) -> TrialRun:
    values: dict[str, Any] = {
        "number": number,
        "name": f"trial {number}",
        "status": status,
        "start": 1000.0,
        "end": 1004.5,
        "params": {"optimizer.learning_rate": f"0.{number}"},
        "tags": {"objective": "val_accuracy"},
        "metrics": {"val_accuracy": number / 10},
        "rows": [{"val_loss": 0.5}, {"val_loss": 0.25}],
        "times": [1002.0, 1004.0],
        "files": {"resolved.yaml": "name: ants\n"},
    }
    return TrialRun(**values | changes)


def trials_of(client: Any, run_id: str) -> dict[str, Any]:
    experiment = client.get_run(run_id).info.experiment_id
    runs = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'")
    names = [run.info.run_name for run in runs]
    assert len(set(names)) == len(names)
    return dict(zip(names, runs, strict=True))


def log_a_file(run_logger: RunLogger) -> None:
    with run_logger.log_artifacts() as folder:
        (folder / "names.txt").write_text("ants, bees")


def test_everything_reaches_the_store(in_empty_folder: Path) -> None:
    run_logger, client = started()
    run_logger.log_params({f"key.{i}": str(i) for i in range(150)})
    run_logger.set_tags({"seed": "7"})
    run_logger.log_metrics({"epoch/loss": 0.5}, step=1)
    run_logger.log_metrics({"epoch/loss": 0.25}, step=2)
    run_logger.log_dataset(
        "train", "photographs/ants", digest="a" * 64, images=3, context="training"
    )
    log_a_file(run_logger)
    run_logger.end("FINISHED")
    assert run_logger.outbox is None

    run = client.get_run(run_logger.run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "a run")
    assert run.data.tags["mlflow.note.content"] == "what it is for"
    assert len(run.data.params) == 150
    assert run.data.tags["seed"] == "7"
    history = client.get_metric_history(run_logger.run_id, "epoch/loss")
    assert [(metric.step, metric.value) for metric in history] == [(1, 0.5), (2, 0.25)]
    assert [item.path for item in client.list_artifacts(run_logger.run_id)] == ["names.txt"]
    dataset = run.inputs.dataset_inputs[0].dataset
    assert (dataset.name, dataset.digest, dataset.source_type) == ("ants", "a" * 36, "local")
    assert (dataset.source, dataset.profile) == ('{"uri": "photographs/ants"}', '{"images": 3}')


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_the_status_and_its_reason_are_logged(in_empty_folder: Path, status: Any) -> None:
    run_logger, client = started()
    assert client.get_run(run_logger.run_id).info.status == "RUNNING"
    run_logger.end(status, reason="enough")
    run_logger.end("FINISHED")
    run = client.get_run(run_logger.run_id)
    assert (run.info.status, run.data.tags["reason"]) == (status, "enough")


def test_trials_are_child_runs(in_empty_folder: Path) -> None:
    run_logger, client = started()
    run_logger.log_trial(trial(1, metrics={"val_f1/C++": 0.5}))
    run_logger.log_trial(trial(2, "KILLED", rows=[], times=[], metrics={}))
    run_logger.log_trial(trial(3, "FAILED"))
    run_logger.log_trial(trial(2))
    run_logger.end("FINISHED")
    runs = trials_of(client, run_logger.run_id)
    assert sorted(runs) == ["trial 1", "trial 2", "trial 3"]
    assert [runs[name].info.status for name in sorted(runs)] == ["FINISHED", "FINISHED", "FAILED"]
    first = runs["trial 1"]
    assert (first.info.start_time, first.info.end_time) == (1_000_000, 1_004_500)
    assert first.data.params == {"optimizer.learning_rate": "0.1"}
    assert first.data.metrics == {"val_f1/C__": 0.5, "epoch/val_loss": 0.25}
    history = client.get_metric_history(runs["trial 2"].info.run_id, "epoch/val_loss")
    assert [(one.step, one.value, one.timestamp) for one in history] == [
        (1, 0.5, 1_002_000),
        (2, 0.25, 1_004_000),
    ]
    assert [item.path for item in client.list_artifacts(first.info.run_id)] == ["resolved.yaml"]


def test_a_trial_that_was_written_in_part_is_completed(in_empty_folder: Path) -> None:
    run_logger, client = started()
    failures = iter([ConnectionError("the line broke")])
    log_text = client.log_text

    def break_once(*arguments: Any) -> None:
        for failure in failures:
            raise failure
        log_text(*arguments)

    client.log_text = break_once  # type: ignore[attr-defined]
    run_logger.log_trial(trial(1))
    run_logger.end("FINISHED")
    (run,) = trials_of(client, run_logger.run_id).values()
    assert run.info.status == "FINISHED"
    assert len(client.get_metric_history(run.info.run_id, "epoch/val_loss")) == 2
    assert logged_trials(open_store(None), run_logger.run_id) == {1}


def test_what_a_store_misses_is_sent_when_it_is_back(
    in_empty_folder: Path, messages: list[str]
) -> None:
    run_logger, client = started()
    client.is_cut_off = True
    run_logger.log_metrics({"epoch/loss": 0.5}, step=1)
    while not messages:
        time.sleep(0.01)
    client.is_cut_off = False
    run_logger.log_metrics({"epoch/loss": 0.25}, step=2)
    run_logger.end("FINISHED")
    assert run_logger.outbox is None
    history = client.get_metric_history(run_logger.run_id, "epoch/loss")
    assert [metric.step for metric in history] == [1, 2]
    assert messages == [
        f"WARNING: Cannot log to {run_logger.uri}: no route to the server. The run continues; its "
        "logs are kept and sent later.",
        f"{run_logger.uri} can be reached again; all logs were sent.",
    ]


def test_what_cannot_be_sent_is_kept_in_the_outbox_until_it_is_uploaded(
    in_empty_folder: Path,
    messages: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (in_empty_folder / "my runs").mkdir()
    monkeypatch.chdir(in_empty_folder / "my runs")
    run_logger, client = started()
    client.is_cut_off = True
    run_logger.log_metrics({"epoch/loss": 0.5}, step=1)
    log_a_file(run_logger)
    run_logger.log_trial(trial(1))
    run_logger.end("FINISHED")
    outbox = run_logger.outbox
    assert outbox == in_empty_folder / "my runs" / "mlruns" / "outbox" / run_logger.run_id
    assert run_logger.model_uri() == f"runs:/{run_logger.run_id}/model"
    assert messages[-1] == (
        f"WARNING: Some logs could not be sent to {run_logger.uri}. They are kept in {outbox}. "
        f"Upload them with: pipeline sync '{outbox}'"
    )

    client.is_cut_off = False
    assert main(["sync", str(outbox)]) == 0
    out = capsys.readouterr().out
    assert out == f"Uploaded 4 items of run {run_logger.run_id} to {run_logger.uri}\n"
    run = client.get_run(run_logger.run_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"epoch/loss": 0.5})
    assert [item.path for item in client.list_artifacts(run_logger.run_id)] == ["names.txt"]
    assert list(trials_of(client, run_logger.run_id)) == ["trial 1"]
    assert not outbox.exists()


def test_a_password_of_the_store_is_neither_shown_nor_kept(
    in_empty_folder: Path, messages: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    local = open_store(None)
    run_logger, client = started(uri="https://me:hunter2@host")
    client.is_cut_off = True
    run_logger.log_metrics({"epoch/loss": 0.5}, step=1)
    run_logger.end("FINISHED")
    outbox = run_logger.outbox
    assert outbox
    assert run_logger.uri == "https://me:***@host"
    assert "hunter2" not in "".join(messages)
    assert "hunter2" not in (outbox / "items.json").read_text()
    assert main(["sync", str(outbox)]) == 1
    assert capsys.readouterr().err == (
        "Error: The password in https://me:***@host is not stored. Give the complete URI with "
        "--uri or in MLFLOW_TRACKING_URI.\n"
    )
    assert main(["sync", str(outbox), "--uri", local.uri]) == 0


def test_a_secret_is_masked_in_all_that_is_logged(in_empty_folder: Path) -> None:
    secret = "horse\"battery's"
    run_logger, client = started(**{secret: "${TOKEN}"})
    run_logger.attach_log(resumed=False)
    logging.getLogger("pipeline.tests").info(f"reading {secret}")
    run_logger.log_params({"data.path": f"/data/{secret}"})
    run_logger.set_tags({"tried": json.dumps([secret])})
    run_logger.log_dataset("train", secret, digest="a", images=1, context="training")
    with run_logger.log_artifacts() as directory:
        (directory / "files.json").write_text(json.dumps([secret]))
    run_logger.log_trial(trial(1, tags={"reason": secret}, files={"resolved.yaml": secret}))
    run_logger.end("FAILED", reason=f"no {secret}")
    run = client.get_run(run_logger.run_id)
    assert run.data.params == {"data.path": "/data/${TOKEN}"}
    assert (run.data.tags["tried"], run.data.tags["reason"]) == ('["${TOKEN}"]', "no ${TOKEN}")
    dataset = run.inputs.dataset_inputs[0].dataset
    assert (dataset.name, dataset.source) == ("${TOKEN}", '{"uri": "${TOKEN}"}')
    (child,) = trials_of(client, run_logger.run_id).values()
    assert child.data.tags["reason"] == "${TOKEN}"
    files = {path.name: path.read_text() for path in in_empty_folder.rglob("artifacts/*.*")}
    assert files["files.json"] == '["${TOKEN}"]'
    assert files["resolved.yaml"] == "${TOKEN}"
    first, last = files["run.log"].splitlines()
    assert first.endswith(" INFO reading ${TOKEN}")
    assert last.endswith(" INFO FAILED no ${TOKEN}")
    for path in in_empty_folder.rglob("*"):
        assert path.is_dir() or b"battery" not in path.read_bytes()


def test_the_log_has_the_messages_of_every_session(in_empty_folder: Path) -> None:
    before = list(logging.getLogger("pipeline").handlers)
    run_logger, client = started()
    run_logger.attach_log(resumed=False)
    logging.getLogger("pipeline.tests").info("first")
    run_logger.end("KILLED")
    logging.getLogger("pipeline.tests").info("between")
    again = run_loggers.reopen_run(open_store(None), run_logger.run_id)
    again.attach_log(resumed=True)
    logging.getLogger("pipeline.tests").warning("second")
    again.end("FINISHED")
    text = Path(client.download_artifacts(run_logger.run_id, "run.log")).read_text()
    lines = [line.split(" ", 2)[2] for line in text.splitlines()]
    assert lines == ["INFO first", "INFO KILLED", "WARNING second", "INFO FINISHED"]
    assert logging.getLogger("pipeline").handlers == before


def test_a_class_s_name_that_mlflow_does_not_accept_is_written_with_underscores(
    in_empty_folder: Path,
) -> None:
    run_logger, client = started()
    run_logger.log_metrics({"val_f1/C++ (language)": 0.5})
    run_logger.end("FINISHED")
    metrics = client.get_run(run_logger.run_id).data.metrics
    assert metrics == {"val_f1/C__ _language_": 0.5}


def test_what_the_store_rejects_does_not_hold_up_the_rest(
    in_empty_folder: Path, messages: list[str]
) -> None:
    run_logger, client = started()
    run_logger.set_tags({"not allowed!": "x"})
    run_logger.log_metrics({"loss": 1.0})
    run_logger.end("FINISHED")
    assert run_logger.outbox is None
    run = client.get_run(run_logger.run_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"loss": 1.0})
    assert messages[0].startswith("WARNING: The tracking store rejected the tag 'not allowed!' of ")


def test_a_directory_that_is_no_outbox_is_refused(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sync", "elsewhere"]) == 2
    assert capsys.readouterr().err == (
        "Error: elsewhere contains no logs of a run: [Errno 2] No such file or directory: "
        "'elsewhere/items.json'.\n"
    )


def test_what_is_queued_when_time_is_up_is_kept_in_full(in_empty_folder: Path) -> None:
    run_logger, client = started()
    is_busy, may_continue = threading.Event(), threading.Event()

    def wait(*_: Any, **__: Any) -> None:
        is_busy.set()
        may_continue.wait()

    client.log_batch = wait  # type: ignore[attr-defined]
    run_logger.log_metrics({"epoch/loss": 0.5}, step=1)
    run_logger.log_metrics({"epoch/loss": 0.25}, step=2)
    is_busy.wait()
    log_a_file(run_logger)
    run_logger.end("KILLED", within=0.0)
    may_continue.set()
    assert run_logger.outbox
    del client.log_batch
    assert main(["sync", str(run_logger.outbox)]) == 0
    run = client.get_run(run_logger.run_id)
    assert (run.info.status, run.data.metrics) == ("KILLED", {"epoch/loss": 0.25})
    assert [item.path for item in client.list_artifacts(run_logger.run_id)] == ["names.txt"]


def test_a_model_that_was_sent_in_part_is_sent_again_as_the_same_one(
    in_empty_folder: Path,
) -> None:
    run_logger, client = started()
    send = client.log_model_artifacts
    failures = iter([ConnectionError("the line broke")])

    def break_once(*arguments: Any) -> None:
        for failure in failures:
            raise failure
        send(*arguments)

    client.log_model_artifacts = break_once  # type: ignore[attr-defined]
    with run_logger.log_model() as folder:
        Model().save(str(folder / "MLmodel"))
    while run_logger._writer._queue:
        time.sleep(0.01)
    assert folder.is_dir()  # until the run ends
    run_logger.end("FINISHED")
    assert not folder.exists()
    run = client.get_run(run_logger.run_id)
    (logged,) = client.search_logged_models([run.info.experiment_id])
    assert [output.model_id for output in run.outputs.model_outputs] == [logged.model_id]
    assert str(logged.status) == "READY"
