"""pipeline init"""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pipeline.cli import main
from pipeline.recipe.loader import load_recipe


@pytest.fixture
def folder(in_empty_folder: Path) -> Path:
    for number, name in enumerate(("ants/1.png", "ants/2.png", "bees/1.png", "bees/2.png")):
        (in_empty_folder / "photographs" / name).parent.mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", (64, 48), (50 * number, 200, 0))
        image.save(in_empty_folder / "photographs" / name)
    return in_empty_folder


def test_writes_a_recipe_and_says_what_to_do_next(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "photographs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Wrote recipe.yaml. A comment in it gives the reason for each value."
    assert lines[-1] == "Next: pipeline run recipe.yaml"
    assert load_recipe(folder / "recipe.yaml").warnings == ()


def test_asks_nothing_and_replaces_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "mine.yaml").write_text("mine")
    assert main(["init", "photographs", "-o", "mine.yaml"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "Error: mine.yaml already exists. Choose another file with --output, or replace it with "
        "--force."
    )
    assert (folder / "mine.yaml").read_text() == "mine"
    assert main(["init", "photographs", "-o", "mine.yaml", "--force", "--base", "VGG16"]) == 0
    assert load_recipe(folder / "mine.yaml").recipe.name == "photographs"


def test_a_directory_that_is_no_data_set_ends_with_1(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "photographs/ants"]) == 1
    assert "expected subdirectories for two or more classes" in capsys.readouterr().err
    assert not (folder / "recipe.yaml").exists()
