"""KerasTuner's service between a chief and its workers, on loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import pytest

from pipeline.errors import PipelineError, UsageError
from pipeline.tuning import service
from pipeline.tuning.service import Texts, Worker
from pipeline.tuning.worker_role import WorkerRole, worker_role


class Chief:
    """Has one trial, and notes what it hears."""

    def __init__(self) -> None:
        self.answers: list[Any] = ["wait", ("7", {"proposal": '{"rate": 0.1234567890123}'}), None]
        self.notes: list[Any] = []

    def begin(self, worker: str) -> tuple[str, Texts] | Literal["wait"] | None:
        self.notes.append(worker)
        return self.answers.pop(0)

    def epoch(self, key: str, row: Mapping[str, float]) -> bool:
        self.notes.append((key, dict(row)))
        return row["val_accuracy"] < 0.5

    def end(self, key: str, outcome: str) -> None:
        self.notes.append((key, outcome))

    def heard(self, key: str) -> None:
        self.notes.append(f"{key} lives")


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "alpha")
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", str(port))
    here = worker_role()
    assert here == WorkerRole("alpha", f"127.0.0.1:{port}", is_chief=False)
    return Worker(here)


def test_a_worker_gets_trials_and_reports_them(worker: Worker) -> None:
    chief = Chief()
    with service.served(chief, worker.place.address):
        assert worker.next() == "wait"
        assert worker.next() == ("7", {"proposal": '{"rate": 0.1234567890123}'})
        assert not worker.epoch("7", {"val_accuracy": 0.75})
        assert worker.epoch("7", {"val_accuracy": 0.25})
        worker.alive("7")
        worker.end("7", '{"score": 0.9673202614379085}')
        assert worker.next() is None
    assert chief.notes == [
        "alpha",
        "alpha",
        ("7", {"val_accuracy": 0.75}),
        ("7", {"val_accuracy": 0.25}),
        "7 lives",
        ("7", '{"score": 0.9673202614379085}'),
        "alpha",
    ]


def test_a_chief_that_is_gone_is_told(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.oracle_client, "TIMEOUT", 0.2)
    with pytest.raises(PipelineError, match=r"The chief at 127\.0\.0\.1:\d+ does not answer: "):
        worker.next()


def test_an_address_in_use_is_told(worker: Worker) -> None:
    with (
        service.served(Chief(), worker.place.address),
        pytest.raises(PipelineError, match="The chief cannot listen at "),
        service.served(Chief(), worker.place.address),
    ):
        pass


def test_an_environment_that_names_a_chief_by_halves_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert worker_role() is None
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    with pytest.raises(UsageError) as refused:
        worker_role()
    assert str(refused.value) == (
        "A search over several machines needs KERASTUNER_TUNER_ID, KERASTUNER_ORACLE_IP, "
        "KERASTUNER_ORACLE_PORT. Missing: KERASTUNER_ORACLE_IP, KERASTUNER_ORACLE_PORT."
    )
