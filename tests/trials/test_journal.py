"""The journal of a search."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.trials.journal import (
    Journal,
    header_of,
    is_finished,
    outcome_from_json,
)
from pipeline.trials.trial import TrialOutcome


def test_events_are_read_again_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "search")
    journal.append("search", path="récipe.yaml")
    journal.append("started", trial=1)
    journal.append("started", trial=2)
    again = Journal(tmp_path / "search")
    assert again.events == journal.events
    assert [event["trial"] for event in again.of("started")] == [1, 2]
    assert next(again.of("started")) == {"event": "started", "trial": 1}
    assert list(again.of("finished")) == []


def test_an_incomplete_last_line_is_removed(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("search", path="recipe.yaml")
    path = tmp_path / "journal.jsonl"
    complete = path.read_bytes()
    path.write_bytes(complete + b'{"event": "star')
    Journal(tmp_path).append("started", trial=1)
    assert path.read_bytes() == complete + b'{"event": "started", "trial": 1}\n'


def test_a_corrupt_journal_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"search\n")
    with pytest.raises(UsageError) as error:
        Journal(tmp_path)
    assert str(error.value) == (
        f"The journal of a search, {path}, is not usable: Expecting value: line 1 column 1 "
        "(char 0)."
    )


def test_a_search_is_complete_when_its_journal_says_so(tmp_path: Path) -> None:
    assert header_of(tmp_path) is None
    assert is_finished(tmp_path)  # there is nothing to resume
    journal = Journal(tmp_path)
    journal.append("search", path="recipe.yaml")
    assert header_of(tmp_path) == {"event": "search", "path": "recipe.yaml"}
    assert not is_finished(tmp_path)
    journal.append("completed", final="run")
    assert is_finished(tmp_path)


def test_an_outcome_is_the_same_after_json(tmp_path: Path) -> None:
    outcome = TrialOutcome(
        "FINISHED",
        score=0.9673202614379085,
        scores=(0.95, 0.9846405228758169),
        metrics={"val_accuracy": 0.95},
        rows=({"val_accuracy": 0.9}, {"val_accuracy": 0.95}),
        times=(1.25, 2.5),
        seconds=2.5,
        pruned_at=2,
    )
    journal = Journal(tmp_path)
    journal.append("finished", outcome=dataclasses.asdict(outcome))
    assert outcome_from_json(Journal(tmp_path).events[0]["outcome"]) == outcome
