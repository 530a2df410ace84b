"""pipeline inspect"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from pipeline.cli import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("ants/1.png", "ants/2.png", "bees/1.png", "bees/2.png")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (64, 48), (50 * number, 200, 0)).save(tmp_path / name)
    return tmp_path


def test_prints_what_is_in_a_directory(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(folder)]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(
        f"{folder}: 4 images of 2 classes\n\nclass  train  val (drawn)\n"
    )


def test_prints_one_json_object_and_writes_a_page(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = folder / "page.html"
    assert main(["inspect", str(folder), "--json", "--html", str(page)]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 4
    assert page.read_text("utf-8").startswith("<!doctype html>")


def test_inspects_a_recipe_with_overrides(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = folder / "recipe.yaml"
    recipe.write_text("data: {source: image_folder, path: .}\nmodel: {architecture: mlp}\n")
    arguments = ["inspect", str(recipe), "--set", "data.validation=0.4", "--json"]
    assert main(arguments) == 0
    classes = json.loads(capsys.readouterr().out)["classes"]
    assert classes == {name: {"train": 1, "val": 1} for name in ("ants", "bees")}


def test_a_missing_path_ends_with_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["inspect", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().out == ""
