"""Processes that start before a run does."""

from __future__ import annotations

import pytest

from pipeline.recipe.grammar import TrackingConfig
from pipeline.tracking import early_store
from pipeline.workflows import early_processes


@pytest.mark.parametrize(
    ("is_created", "is_verified", "threads", "expected"),
    [
        (False, True, 2, "started"),
        (True, True, 2, None),
        (False, False, 2, None),
        (False, True, 1, None),
    ],
)
def test_the_verifying_process_starts_if_a_core_is_left(
    is_created: bool,
    is_verified: bool,
    threads: int,
    expected: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(early_store, "create_early", lambda uri: is_created)
    monkeypatch.setattr(early_processes, "FreshProcess", lambda: "started")
    monkeypatch.setattr(early_processes, "usable_threads", lambda: threads)
    tracking = TrackingConfig(verify_model=is_verified)
    assert early_processes.start(tracking) == expected
