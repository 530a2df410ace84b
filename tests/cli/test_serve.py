"""pipeline serve as a server of its own, for the tasks that are no classification."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.recipe.loader import load_recipe
from pipeline.workflows.single_run import run

REGRESSION = """\
data: {source: generated, task: regression, kind: line, batch_size: all}
model: {architecture: mlp, hidden: []}
optimizer: {name: sgd, learning_rate: 0.5}
training: {epochs: 20}
"""
MULTI_LABEL = """\
data: {source: table, task: multi_label, path: points.csv, features: [x1, x2]}
model: {architecture: mlp, hidden: []}
training: {epochs: 1}
"""
RECONSTRUCTION = """\
data: {source: digits, task: reconstruction, batch_size: 256}
model: {architecture: autoencoder, filters: [4], latent: 2}
training: {epochs: 1}
"""


@contextmanager
def served() -> Iterator[str]:
    """The address that `pipeline serve` prints, for the latest run of the working directory."""
    command = [sys.executable, "-m", "pipeline", "serve", "latest", "--port", "5800"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 130


def answer(address: str, row: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps({"dataframe_records": [row]}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        (found,) = json.load(response)["predictions"]
    return dict(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "row", "names"),
    [
        (REGRESSION, {"x": 0.5}, ["value"]),
        (
            MULTI_LABEL,
            {"x1": 1, "x2": -1},
            ["class", "probability", "probabilities", "classes"],
        ),
        (RECONSTRUCTION, {"image": "000_0.png"}, ["reconstruction_error", "is_anomaly"]),
    ],
    ids=["regression", "multi_label", "reconstruction"],
)
def test_the_model_of_a_task_answers_until_the_server_is_stopped(
    recipe: str, row: dict[str, Any], names: list[str], digit_files: Path, in_empty_folder: Path
) -> None:
    points = [(x, y) for x in range(-5, 5) for y in range(-5, 5)]
    rows = ["x1,x2,right,up", *(f"{x},{y},{int(x > 0)},{int(y > 0)}" for x, y in points)]
    Path("points.csv").write_text("\n".join(rows))
    Path("recipe.yaml").write_text(recipe)
    run(load_recipe(Path("recipe.yaml")))
    if "image" in row:
        row = {"image": base64.b64encode((digit_files / row["image"]).read_bytes()).decode()}
    with served() as address:
        found = answer(address, row)
    assert [name for name, value in found.items() if value is not None] == [*names, "error"]
    assert found["error"] == ""
    if "value" in found:
        assert found["value"] == pytest.approx(2 * 0.5 + 1, abs=0.1)
    with pytest.raises(OSError, match="refused"):
        answer(address, row)
