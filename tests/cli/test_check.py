"""pipeline check"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.cli import main

RECIPE = """\
data: {source: digits, batch_size: 64}
model: {architecture: mlp, hidden: [16]}
optimizer: {learning_rate: 1e-2}
"""


def test_prints_one_json_object_and_writes_a_page(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    assert main(["check", "recipe.yaml", "--json", "--html", "check.html"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["name"], found["findings"]) == ("recipe", [])
    assert Path("check.html").read_text("utf-8").startswith("<!doctype html>")


def test_an_error_of_the_recipe_is_an_error_of_the_check(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("recipe.yaml").write_text(RECIPE.replace("mlp", "mpl"))
    assert main(["check", "recipe.yaml"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("recipe.yaml:2:9: model.architecture: expected one of: alexnet, ")
    assert error.endswith(" Received 'mpl'. Did you mean 'mlp'?\n")
