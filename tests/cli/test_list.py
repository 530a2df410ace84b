from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.recipe import shipped
from pipeline.recipe.shipped import shipped_recipes


def test_names_and_descriptions_are_listed_in_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "zoo.yaml").write_text("description: Animals of a zoo.\n")
    (tmp_path / "letters.yaml").write_text("name: letters\ndescription: 'Letters: A to Z.'\n")
    (tmp_path / "notes.txt").write_text("description: Not a recipe.\n")
    monkeypatch.setattr(shipped, "recipes_directory", lambda: tmp_path)
    assert main(["list"]) == 0
    assert capsys.readouterr() == (
        "letters  Letters: A to Z.\nzoo      Animals of a zoo.\n",
        "",
    )


def test_every_shipped_recipe_has_a_description(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = [line for line in lines if line]
    assert [line.split()[0] for line in listed] == list(shipped_recipes())
    assert all(len(line.split()) > 3 for line in listed)


def test_groups_come_last_with_a_gap_before_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "course").mkdir()
    for name in ("zoo", "course/atoms", "course/bees"):
        (tmp_path / f"{name}.yaml").write_text("description: One.\n")
    monkeypatch.setattr(shipped, "recipes_directory", lambda: tmp_path)
    assert main(["list"]) == 0
    assert capsys.readouterr().out == (
        "zoo           One.\n\ncourse/atoms  One.\ncourse/bees   One.\n"
    )
