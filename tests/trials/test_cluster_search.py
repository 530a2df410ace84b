"""A search on several machines of a Ray cluster, here processes of one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent.parent / "benchmarks" / "cluster_trials.py"


@pytest.mark.slow
def test_a_search_ends_as_if_no_machine_and_no_driver_had_been_killed() -> None:
    command = [sys.executable, str(SCRIPT), "--trials", "8"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    compared = json.loads(done.stdout)
    gone, resuming = compared["messages"]
    assert gone.endswith("is gone. Its work goes to the others.")
    assert resuming.startswith("Resuming search ")
    assert compared["in_mlflow"] == {str(number): 1 for number in range(1, 9)}
    assert compared["differences"] == []
    assert compared["same_best"]
