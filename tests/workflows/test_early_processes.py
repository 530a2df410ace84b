"""Processes that start before a run does."""

from __future__ import annotations

from threading import Event, Thread

import pytest

from pipeline.recipe.grammar import TrackingConfig
from pipeline.tracking import early_store
from pipeline.workflows import early_processes

start = early_processes.start  # as `conftest.py` leaves it out of all other tests


@pytest.mark.parametrize(
    ("is_verified", "threads", "is_started"), [(True, 2, True), (False, 2, False), (True, 1, False)]
)
def test_the_verifying_process_starts_if_a_core_is_left(
    is_verified: bool, threads: int, is_started: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_store, "create_early", lambda uri: None)
    monkeypatch.setattr(early_processes, "FreshProcess", lambda: "started")
    monkeypatch.setattr(early_processes, "usable_threads", lambda: threads)
    process = start(TrackingConfig(verify_model=is_verified))
    assert (process is not None and process.result()) == ("started" if is_started else False)


def test_the_verifying_process_starts_when_the_store_is_created(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_created = Event()
    creation = Thread(target=is_created.wait)
    creation.start()
    monkeypatch.setattr(early_store, "create_early", lambda uri: creation)
    monkeypatch.setattr(early_processes, "FreshProcess", lambda: is_created.is_set())
    monkeypatch.setattr(early_processes, "usable_threads", lambda: 2)
    process = start(TrackingConfig())
    assert process
    with pytest.raises(TimeoutError):
        process.result(timeout=0.05)
    is_created.set()
    assert process.result()
