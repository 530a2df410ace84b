"""Writing from a thread, also while the store is away when the run ends."""

from __future__ import annotations

import _thread
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.tracking import background_writer, liveness
from pipeline.tracking.background_writer import RETRIES, BackgroundWriter, RetrySchedule
from pipeline.tracking.mlflow_writer import OutboxItem
from pipeline.tracking.outbox import metrics_body

ITEMS = [OutboxItem("tags", {"first": "1"}), OutboxItem("tags", {"second": "2"})]


class Store:
    """A client of a store that cannot be reached at the first tries."""

    def __init__(self, failures: int) -> None:
        self.failures, self.tries = failures, 0
        self.tags: list[str] = []

    def log_batch(self, run_id: str, tags: Any) -> None:
        self.tries += 1
        if self.tries <= self.failures:
            raise ConnectionError("no route to the server")
        self.tags += [tag.key for tag in tags]


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[liveness.LivenessLock]:
    lock = liveness.acquire(tmp_path)
    yield lock
    lock.release()


@pytest.fixture(autouse=True)
def three_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    retries = RetrySchedule(3600, after_end=[0.0, 0.0, 0.0])
    monkeypatch.setattr(background_writer, "RETRIES", retries)


def test_a_store_that_is_away_is_waited_for_a_minute() -> None:
    assert sum(RETRIES.after_end) >= 60


def test_a_store_that_is_away_when_the_run_ends_is_waited_for(
    lock: liveness.LivenessLock, messages: list[str]
) -> None:
    store = Store(failures=3)
    writer = BackgroundWriter(store, "run", "https://host", lock)
    for item in ITEMS:
        writer.put(item)
    assert writer.finish() == []
    assert store.tags == ["first", "second"]
    assert messages[-2:] == [
        "WARNING: Cannot log to https://host: no route to the server. Trying again for 0 seconds. "
        "Press Ctrl-C to stop that and to keep the remaining logs on this machine.",
        "https://host can be reached again; all logs were sent.",
    ]


def test_what_a_store_never_accepted_is_returned_in_order(lock: liveness.LivenessLock) -> None:
    store = Store(failures=100)
    writer = BackgroundWriter(store, "run", "https://host", lock)
    for item in ITEMS:
        writer.put(item)
    assert writer.finish() == ITEMS
    assert store.tries in (4, 5)  # one may fail before the run ends


def test_the_metrics_of_short_epochs_are_written_together(lock: liveness.LivenessLock) -> None:
    calls: list[list[tuple[str, int]]] = []

    class Batches:
        def log_batch(self, run_id: str, metrics: Any = (), tags: Any = ()) -> None:
            calls.append([(each.key, getattr(each, "step", 0)) for each in (*metrics, *tags)])

    writer = BackgroundWriter(Batches(), "run", "https://host", lock)
    epochs = [OutboxItem("metrics", metrics_body({"loss": 1.0}, step)) for step in (1, 2, 3)]
    final = metrics_body({"val_loss": 1.0}, 0)
    measured = OutboxItem("metrics", {**final, "dataset": {}, "model_id": "m"})
    with writer._changed:  # so that none is written yet
        for item in (*epochs, measured, ITEMS[0]):
            writer.put(item)
    assert writer.finish() == []
    assert calls == [[("loss", 1), ("loss", 2), ("loss", 3)], [("val_loss", 0)], [("first", 0)]]


@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_ctrl_c_ends_the_waiting(
    lock: liveness.LivenessLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background_writer, "RETRIES", RetrySchedule(3600, after_end=[3600]))

    def interrupt(*_: Any, **__: Any) -> None:
        if writer._ending.is_set():
            _thread.interrupt_main()
        raise ConnectionError("no route to the server")

    store = Store(failures=0)
    monkeypatch.setattr(store, "log_batch", interrupt)
    writer = BackgroundWriter(store, "run", "https://host", lock)
    writer.put(ITEMS[0])
    assert writer.finish() == ITEMS[:1]
    assert writer.finish() == ITEMS[:1]  # does not wait again
