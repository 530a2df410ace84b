"""A search on three machines of a Ray cluster that nothing disturbs, and one that is disturbed.

    python benchmarks/cluster_trials.py --trials 40

The machines are processes of this one. In the second search, a machine is killed after a quarter of
the trials. After half of them, when that was noticed, the driver is killed, and resumes. Compared
are the tables of trials and the best one; the trials in MLflow are counted. It exits with 1 if
anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
from ray_machines import kill_machine, kill_process, started

RECIPE = """\
name: digits
data: {{source: digits, batch_size: 128}}
model: {{architecture: mlp, hidden: [32]}}
training: {{epochs: 8}}
tuning:
  tuner: {tuner}
  trials: {trials}
  space:
    optimizer.learning_rate: {{log: [1e-4, 1e-1]}}
    regularization.dropout: {{range: [0.0, 0.6]}}
    optimizer.name: {{choice: [adam, rmsprop]}}
"""
MACHINES = 3
SECONDS = 500.0  # after which a search counts as stuck


def compare_searches(folder: Path, *, trials: int, tuner: str) -> dict[str, Any]:
    """Run both searches in a folder.

    Returns:
        The seconds of each, what was said of the disturbances, what differs, and how often each
        trial is in MLflow.
    """
    whole, seconds = _search(folder / "undisturbed", trials, tuner, disturbed=False)
    other, other_seconds = _search(folder / "disturbed", trials, tuner, disturbed=True)
    differences = [
        (one, another)
        for one, another in zip(_table(whole), _table(other), strict=True)
        if one != another
    ]
    messages = _messages(folder / "disturbed")
    logged = _logged_trials(folder / "disturbed", other["parent_run_id"])
    return {
        "messages": [line for line in messages if "is gone" in line or "Resuming" in line],
        "trials": len(other["trials"]),
        "pruned": sum(row["pruned_at"] is not None for row in other["trials"]),
        "differences": differences,
        "same_best": whole["best"] == other["best"],
        "in_mlflow": dict(sorted(logged.items())),
        "each_once": sorted(logged.elements()) == list(range(1, trials + 1)),
        "seconds": {"undisturbed": seconds, "disturbed": other_seconds},
    }


def _search(
    folder: Path, trials: int, tuner: str, *, disturbed: bool
) -> tuple[dict[str, Any], float]:
    """Return what `pipeline tune --json` prints, and how long it took."""
    folder.mkdir()
    (folder / "recipe.yaml").write_text(RECIPE.format(trials=trials, tuner=tuner))
    begun = time.monotonic()
    with started(MACHINES, cores=1) as (cluster, machines):
        driver = _driver(folder, cluster.address)
        if disturbed:
            _wait(driver, lambda: _finished_trials(folder) >= trials // 4)
            kill_machine(machines[0])
            _wait(driver, lambda: any("is gone" in line for line in _messages(folder)))
            _wait(driver, lambda: _finished_trials(folder) >= trials // 2)
            kill_process(driver.pid)
            driver.wait()
            driver = _driver(folder, cluster.address)
        printed, _ = driver.communicate(timeout=SECONDS)
    if driver.returncode:
        sys.exit((folder / "messages.txt").read_text())
    return json.loads(printed), round(time.monotonic() - begun, 1)


def _driver(folder: Path, address: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pipeline", "tune", "recipe.yaml", "--cluster", "auto"]
    with (folder / "messages.txt").open("ab") as messages:
        return subprocess.Popen(
            [*command, "--json"],
            cwd=folder,
            env={**os.environ, "RAY_ADDRESS": address},
            stdout=subprocess.PIPE,
            stderr=messages,
        )


def _wait(driver: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert driver.poll() is None, "The search ended too early."
        assert time.monotonic() < deadline, "The search is stuck."
        time.sleep(0.1)


def _messages(folder: Path) -> list[str]:
    return (folder / "messages.txt").read_text().splitlines()


def _finished_trials(folder: Path) -> int:
    journals = (folder / "mlruns" / "searches").glob("*/journal.jsonl")
    return sum(journal.read_text().count('"event": "finished"') for journal in journals)


def _table(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of the trials without their duration."""
    return [
        {name: value for name, value in row.items() if name != "seconds"}
        for row in result["trials"]
    ]


def _logged_trials(folder: Path, search: str) -> Counter[int]:
    """Return how often each trial is in MLflow, under the run of the search."""
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}")
    experiment = client.get_run(search).info.experiment_id
    children = client.search_runs(
        [experiment], f"tags.`mlflow.parentRunId` = '{search}'", max_results=1000
    )
    return Counter(int(run.data.tags["trial"]) for run in children)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--tuner", default="bayesian")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compared = compare_searches(Path(folder), trials=arguments.trials, tuner=arguments.tuner)
    print(json.dumps(compared, indent=1))
    is_same = not compared["differences"] and compared["same_best"] and compared["each_once"]
    return 0 if is_same else 1


if __name__ == "__main__":
    sys.exit(main())
