"""The progress of many pieces of work."""

from __future__ import annotations

import time

import pytest

from pipeline.cluster.piece_progress import PieceProgress


def test_the_rate_and_the_time_left_are_those_of_the_parts_that_were_done_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    progress = PieceProgress(1000, 500, doing="predicting", pieces="parts")
    progress.advance(600)
    progress.advance(1400)
    assert progress.describe(110.0) == "502 of 1,000 parts, 200 images/s, 41:30 left"


def test_without_a_terminal_a_message_is_logged_from_time_to_time(
    monkeypatch: pytest.MonkeyPatch, messages: list[str]
) -> None:
    seconds = iter([0.0, 30.0, 61.0, 100.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds))
    progress = PieceProgress(4, 0, doing="predicting", pieces="parts", unit="rows")
    with progress.shown():
        for _ in range(3):
            progress.advance(61)
    assert messages == ["2 of 4 parts, 2 rows/s, 1:01 left"]
