"""The commands of the tutorial, pasted one after another into an empty directory."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import main

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
SERVER = "pipeline ui"  # which ends when somebody stops it


def run_shell(script: str) -> str:
    """Run a script with this Python's directory first in PATH; return its standard output."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = subprocess.Popen(
        ["bash", "-e", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATH": path},
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=300)
    finally:
        with contextlib.suppress(ProcessLookupError):  # what the script left running
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, errors
    return output


def run_block(block: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a block of commands; return its standard output.

    The last command runs in this process, which has imported TensorFlow, if it is of the package.
    """
    script, _, last = block.rstrip("\n").rpartition("\n")
    if "&" in block or not last.startswith("pipeline "):
        return run_shell(block)
    if script:
        run_shell(script)
    assert main(shlex.split(last)[1:]) == 0, last
    return capsys.readouterr().out


@pytest.mark.slow
def test_the_commands_run_in_order(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", TUTORIAL.read_text("utf-8"), flags=re.DOTALL)
    outputs = [run_block(block, capsys) for block in blocks if block.strip() != SERVER]
    evaluated = next(output for output in outputs if "tuned on new_photographs" in output)
    accuracy = re.search(r"accuracy (\d\.\d+)", evaluated)
    assert accuracy
    assert float(accuracy[1]) > 0.8
    rows = list(csv.DictReader(Path("predictions.csv").read_text("utf-8").splitlines()))
    right = [Path(row["file"]).parent.name == row["class_1"] for row in rows]
    assert len(rows) == len(list(Path("new_photographs").rglob("*.png")))
    assert sum(right) / len(right) == pytest.approx(float(accuracy[1]), abs=1e-4)
    assert Path("exports/tuned/saved_model/interface.json").is_file()
    # The address of the server comes first, unless it is stopped before it has printed that.
    answer = outputs[-1].splitlines()[-1]
    (prediction,) = json.loads(answer)["predictions"]
    assert prediction["class"] == "five"
