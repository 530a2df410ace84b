"""A search over several machines: a chief and its workers, here on one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline.recipe.loader import load_recipe
from pipeline.trials import distributed
from pipeline.trials.distributed import _Chief
from pipeline.trials.journal import Journal, outcome_as_json
from pipeline.trials.search_state import Search
from pipeline.trials.trial import TrialOutcome

RECIPE = """\
data: {source: digits, batch_size: 128}
model: {architecture: mlp, hidden: [16]}
training: {epochs: 4}
tuning:
  tuner: random
  trials: 8
  space: {optimizer.learning_rate: {log: [1e-3, 1e-1]}}
"""


def outcome(score: float) -> str:
    return json.dumps(outcome_as_json(TrialOutcome("FINISHED", score=score, scores=(score,))))


def test_the_trial_of_a_worker_that_falls_silent_goes_to_another(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    search = Search(load_recipe(Path("recipe.yaml")), Journal(in_empty_folder / "search"))
    said: list[str] = []
    chief = _Chief(search, "digest", said.append)
    first = chief.begin("alpha")
    assert first is not None
    assert first[0] == "1"
    assert chief.begin("beta") == "wait"  # the recipe as it stands comes first
    chief.end("1", outcome(0.5))
    alpha, beta = chief.begin("alpha"), chief.begin("beta")
    assert alpha is not None
    assert beta is not None
    assert (alpha[0], beta[0]) == ("2", "3")
    monkeypatch.setattr(distributed, "SILENCE", -1.0)
    chief.take_back()
    assert [message.partition(" has")[0] for message in said] == ["alpha", "beta"]
    again = chief.begin("gamma")
    assert again == alpha
    chief.end("2", outcome(0.75))
    chief.end("2", outcome(0.25))  # alpha was not gone, and is late
    assert [done.outcome.score for done in search.done] == [0.5, 0.75]
    assert not chief.is_done()


def started(name: str, port: int, log: Path) -> subprocess.Popen[bytes]:
    environment: Mapping[str, str] = {
        **os.environ,
        "KERASTUNER_TUNER_ID": name,
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": str(port),
    }
    command = [sys.executable, "-m", "pipeline", "tune", "recipe.yaml", "--json"]
    with log.open("wb") as file:
        return subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_a_chief_and_two_workers_one_of_them_killed(in_empty_folder: Path) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    names = ("chief", "alpha", "beta")
    chief, alpha, beta = (started(name, port, Path(f"{name}.log")) for name in names)
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
        for process in (chief, alpha, beta):
            process.kill()
            process.wait()
    result = json.loads(Path("chief.log").read_text())
    assert [row["trial"] for row in result["trials"]] == list(range(1, 9))
    assert {row["state"] for row in result["trials"]} == {"FINISHED"}
    assert json.loads(Path("beta.log").read_text())["trials"] >= 4
