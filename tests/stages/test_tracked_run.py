"""The lifecycle of a run: its status, its reason and its log."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import PipelineError
from pipeline.stages import tracked_run as lifecycle
from pipeline.stages.tracked_run import tracked_run
from pipeline.tracking.outbox import read_outbox
from pipeline.tracking.store import newest_run, open_store

logger = logging.getLogger("pipeline.tests")


def run_and_raise(
    error: BaseException, on_stop: Callable[[Exception | None], None] = lambda _: None
) -> None:
    """Raise an error in a run."""
    with tracked_run(open_store(None), experiment="ants", name="a run") as tracked:
        tracked.on_stop = on_stop
        raise error


def log_of(run: Any) -> list[str]:
    """Return the log of a run without its times."""
    path = open_store(None).client.download_artifacts(run.info.run_id, "run.log")
    return [line.split(" ", 2)[2] for line in Path(path).read_text().splitlines()]


def test_a_block_that_ends_is_a_finished_run(in_empty_folder: Path) -> None:
    store = open_store(None)
    stopped: list[Exception | None] = []
    with tracked_run(store, experiment="ants", name="a run", description="why") as tracked:
        tracked.on_stop = stopped.append
        assert newest_run(store).info.status == "RUNNING"
        tracked.logger.log_metrics({"loss": 0.5})
        logger.info("working")
    run = newest_run(store)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "a run")
    assert run.data.tags["mlflow.note.content"] == "why"
    assert run.data.metrics == {"loss": 0.5}
    assert log_of(run) == ["INFO working", "INFO FINISHED"]
    assert stopped == []


def test_an_error_is_explained_and_fails_the_run(in_empty_folder: Path) -> None:
    stopped: list[Exception | None] = []
    with pytest.raises(PipelineError, match="Out of memory: 3 GiB") as failed:
        run_and_raise(MemoryError("3 GiB"), stopped.append)
    assert stopped == [failed.value]
    run = newest_run(open_store(None))
    assert (run.info.status, run.data.tags["reason"]) == ("FAILED", str(failed.value))
    assert log_of(run) == [f"INFO FAILED {failed.value}"]


def test_an_unknown_error_stays_and_fails_the_run_even_if_saving_fails(
    in_empty_folder: Path,
) -> None:
    def fail(_: Exception | None) -> None:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        run_and_raise(ZeroDivisionError("by zero"), fail)
    run = newest_run(open_store(None))
    assert run.info.status == "FAILED"
    assert run.data.tags["reason"] == "ZeroDivisionError: by zero"


def test_an_interruption_kills_the_run_and_it_can_be_resumed(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "_SECONDS_TO_SEND", 60.0)
    store = open_store(None)
    stopped: list[Exception | None] = []
    with pytest.raises(KeyboardInterrupt):
        run_and_raise(KeyboardInterrupt(), stopped.append)
    assert stopped == [None]
    run = newest_run(store)
    assert (run.info.status, run.data.tags["reason"]) == ("KILLED", "interrupted")
    with tracked_run(store, experiment="ants", name="a run", resume=run.info.run_id):
        assert newest_run(store).info.status == "RUNNING"
    again = newest_run(store)
    assert (again.info.run_id, again.info.status) == (run.info.run_id, "FINISHED")
    assert "reason" not in again.data.tags
    assert log_of(again) == ["INFO KILLED interrupted", "INFO FINISHED"]


AWAY = """
import os, signal
from pipeline.stages.tracked_run import tracked_run
from pipeline.tracking import background_writer
from pipeline.tracking.background_writer import RetrySchedule
from pipeline.tracking.store import open_store
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
background_writer.RETRIES = RetrySchedule(3600, after_end=[3600])
def fail(*_, **__):
    if tracked.logger._writer._ending.is_set():
        os.kill(os.getpid(), signal.SIGINT)
    raise ConnectionError("no route to the server")
with tracked_run(open_store(None), experiment="ants", name="a run") as tracked:
    tracked.logger._client.log_batch = fail
    tracked.logger.log_metrics({"loss": 0.5})
print(tracked.logger.run_id, tracked.logger.outbox)
"""


def test_ctrl_c_stops_waiting_for_the_store_but_does_not_interrupt_the_run(
    in_empty_folder: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AWAY], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    run_id, outbox = done.stdout.split()
    assert Path(outbox) == in_empty_folder / "mlruns" / "outbox" / run_id
    _, _, items = read_outbox(Path(outbox))
    assert [item.kind for item in items] == ["metrics", "artifacts", "status"]
    assert items[-1].body["status"] == "FINISHED"


BUSY = """
import hashlib, logging, signal, sys, threading
from pipeline.shutdown import interrupt_on
from pipeline.stages import tracked_run as lifecycle
from pipeline.tracking.store import open_store
lifecycle._SECONDS_TO_SEND = 60.0
interrupt_on(signal.SIGTERM)
with lifecycle.tracked_run(open_store(None), experiment="ants", name="a run") as tracked:
    tracked.on_stop = lambda error: print("saved", flush=True)
    threading.Timer(0.3, lambda: print("busy", flush=True)).start()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # native code, for minutes
"""


def test_native_code_does_not_keep_an_interrupted_run_running(in_empty_folder: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "busy\n"
    os.kill(process.pid, signal.SIGTERM)
    assert process.communicate() == ("saved\n", None)
    assert process.returncode == 130
    run = newest_run(open_store(None))
    assert (run.info.status, run.data.tags["reason"]) == ("KILLED", "interrupted")
