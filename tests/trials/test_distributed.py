"""A search on several machines: a chief and its workers, here on one."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Client, Connection
from pathlib import Path

import pytest

from pipeline.errors import DataError, PipelineError, UsageError
from pipeline.recipe.loader import load_recipe
from pipeline.trials import distributed
from pipeline.trials.distributed import run_as_chief, work_for_chief
from pipeline.trials.journal import Journal
from pipeline.trials.search_state import Search
from pipeline.trials.trial import TrialOutcome
from pipeline.trials.trial_worker import receive, send
from pipeline.tuning.worker_role import WorkerRole

RECIPE = """\
data: {source: digits, batch_size: 128}
model: {architecture: mlp, hidden: [16]}
training: {epochs: 4}
tuning:
  tuner: random
  trials: 8
  space: {optimizer.learning_rate: {log: [1e-3, 1e-1]}}
"""
KEY = b"0123456789abcdef"


class Reporter:
    """Reports nothing."""

    def update(self) -> None:
        pass


@pytest.fixture
def role() -> WorkerRole:
    return WorkerRole("alpha", ("127.0.0.1", free_port()), is_chief=False, key=KEY)


@pytest.fixture
def chief(in_empty_folder: Path, role: WorkerRole) -> Iterator[Search]:
    """A chief in a thread, which ends when its trials have run."""
    Path("recipe.yaml").write_text(RECIPE)
    loaded = load_recipe(Path("recipe.yaml"), ("tuning.trials=3",))
    search = Search(loaded, Journal(in_empty_folder / "search"))
    thread = threading.Thread(
        target=run_as_chief,
        args=(search, loaded, Reporter(), role),
        kwargs={"images": "digest"},
        daemon=True,
    )
    thread.start()
    yield search
    with connection(role) as worker:
        run(worker, 3 - len(search.done))
    thread.join(timeout=60)
    assert not thread.is_alive()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def connection(role: WorkerRole, key: bytes = KEY) -> Connection:
    """Return a connection to the chief, which may not listen yet."""
    deadline = time.monotonic() + 30
    while True:
        try:
            worker = Client(role.address, authkey=key)
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert receive(worker)["images"] == "digest"
    send(worker, "worker", name=role.name)
    return worker


def run(worker: Connection, trials: int, score: float = 0.5) -> None:
    """Run trials without training."""
    for _ in range(trials):
        assert receive(worker)["message"] == "trial"
        outcome = TrialOutcome("FINISHED", score=score, scores=(score,))
        send(worker, "outcome", outcome=dataclasses.asdict(outcome))


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_trial_of_a_lost_worker_goes_to_another(
    chief: Search, role: WorkerRole, messages: list[str]
) -> None:
    alpha = connection(role)
    run(alpha, 1)
    lost = receive(alpha)
    alpha.close()
    beta = connection(role)
    again = receive(beta)
    assert lost["number"] == again["number"] == 2
    assert lost["proposal"] == again["proposal"]
    assert "WARNING: Worker alpha is gone. Trial 2 goes to the next idle worker." in messages
    outcome = TrialOutcome("FINISHED", score=0.75, scores=(0.75,))
    send(beta, "outcome", outcome=dataclasses.asdict(outcome))
    until(lambda: len(chief.done) == 2)
    beta.close()
    assert [done.outcome.score for done in chief.done] == [0.5, 0.75]


def test_the_pool_tells_after_each_epoch_whether_to_stop(chief: Search, role: WorkerRole) -> None:
    with connection(role) as worker:
        receive(worker)
        send(worker, "epoch", metrics={"val_accuracy": 0.5})
        assert receive(worker) == {"message": "stop", "stop": False}


def test_a_worker_with_another_key_is_refused(
    chief: Search, role: WorkerRole, messages: list[str]
) -> None:
    loaded = load_recipe(Path("recipe.yaml"))
    stranger = WorkerRole("beta", role.address, is_chief=False, key=b"another key of 16")
    with pytest.raises(UsageError) as error:
        work_for_chief(loaded, stranger)
    host, port = role.address
    assert str(error.value) == (
        f"The chief at {host}:{port} has another PIPELINE_SEARCH_KEY. Set the same one on every "
        "machine."
    )
    refused = "WARNING: A worker was refused. Its PIPELINE_SEARCH_KEY is not the chief's."
    until(lambda: refused in messages)


def test_a_worker_with_another_recipe_is_refused(chief: Search, role: WorkerRole) -> None:
    other = load_recipe(Path("recipe.yaml"), ("model.hidden=[32]", "tracking.experiment=mine"))
    with pytest.raises(UsageError) as error:
        work_for_chief(other, role)
    host, port = role.address
    assert str(error.value) == (
        "This recipe differs from the chief's:\n  model.hidden: was [16], is [32]\n"
        f"Use the recipe of the chief at {host}:{port}."
    )


def test_a_worker_with_other_images_is_refused(chief: Search, role: WorkerRole) -> None:
    with pytest.raises(DataError) as error:
        work_for_chief(load_recipe(Path("recipe.yaml")), role)
    host, port = role.address
    assert str(error.value) == (
        "The images differ from the chief's, so trials cannot be compared. Copy the images of the "
        f"chief at {host}:{port} to this machine."
    )


def test_a_chief_that_does_not_answer_is_an_error(
    in_empty_folder: Path, role: WorkerRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    monkeypatch.setattr(distributed, "_CONNECT_SECONDS", 0.0)
    with pytest.raises(PipelineError, match=r"The chief at 127\.0\.0\.1:\d+ does not answer: "):
        work_for_chief(load_recipe(Path("recipe.yaml")), role)


def test_an_address_in_use_is_an_error(chief: Search, role: WorkerRole) -> None:
    connection(role).close()  # the chief listens
    with pytest.raises(PipelineError, match=r"The chief cannot listen at 127\.0\.0\.1:\d+: "):
        run_as_chief(
            chief,
            load_recipe(Path("recipe.yaml")),
            Reporter(),  # type: ignore[arg-type]
            role,
            images="digest",
        )


def process(name: str, port: int, log: Path) -> subprocess.Popen[bytes]:
    environment: Mapping[str, str] = {
        **os.environ,
        "KERASTUNER_TUNER_ID": name,
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": str(port),
        "PIPELINE_SEARCH_KEY": KEY.decode(),
    }
    command = [sys.executable, "-m", "pipeline", "tune", "recipe.yaml", "--json"]
    with log.open("wb") as file:
        return subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_a_chief_and_two_workers_one_of_them_killed(in_empty_folder: Path) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    names, port = ("chief", "alpha", "beta"), free_port()
    chief, alpha, beta = (process(name, port, Path(f"{name}.log")) for name in names)
    try:
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            journals = list(Path("mlruns/searches").glob("*/journal.jsonl"))
            if journals and journals[0].read_text().count('"finished"') >= 3:
                break
            time.sleep(0.2)
        alpha.kill()
        assert chief.wait(timeout=300) == 0
        assert beta.wait(timeout=60) == 0
    finally:
        for one in (chief, alpha, beta):
            one.kill()
            one.wait()
    result = json.loads(Path("chief.log").read_text())
    assert [row["trial"] for row in result["trials"]] == list(range(1, 9))
    assert {row["state"] for row in result["trials"]} == {"FINISHED"}
    assert json.loads(Path("beta.log").read_text())["trials"] >= 4
