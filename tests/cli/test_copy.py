from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main
from pipeline.recipe.grammar import SCHEMA_FILE
from pipeline.recipe.loader import load_recipe
from pipeline.recipe.shipped import recipes_directory, shipped_recipes

SOURCE = shipped_recipes()["digits_lenet"]
SCHEMA = recipes_directory() / SCHEMA_FILE


def test_a_recipe_is_copied_to_the_working_directory(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["copy", "digits_lenet"]) == 0
    assert capsys.readouterr() == ("digits_lenet.yaml\n", "")
    expected = SOURCE.read_text(encoding="utf-8").replace("recipes/digits_lenet", "digits_lenet")
    assert Path("digits_lenet.yaml").read_text(encoding="utf-8") == expected


def test_the_commands_in_a_copy_name_the_copy(in_empty_folder: Path) -> None:
    main(["copy", "ants_bees", "mine.yaml"])
    text = Path("mine.yaml").read_text(encoding="utf-8")
    assert text.count("# pipeline run mine.yaml ") == text.count("# pipeline tune mine.yaml") == 1
    assert "recipes/" not in text


def test_data_is_downloaded_into_the_directory_of_a_copy(in_empty_folder: Path) -> None:
    Path("there").mkdir()
    main(["copy", "ants_bees", "there"])
    copy = Path("there/ants_bees.yaml")
    assert load_recipe(copy).recipe.data.location == (
        in_empty_folder / "there" / "data" / "hymenoptera_data"
    )
    original = shipped_recipes()["ants_bees"].read_text(encoding="utf-8").splitlines()
    changed = set(copy.read_text(encoding="utf-8").splitlines()) - set(original)
    assert {line for line in changed if not re.search("# *pipeline", line)} == {
        "  path: data/hymenoptera_data        # relative to this file; has train/ and val/"
    }


@pytest.mark.parametrize("name", shipped_recipes())
def test_no_path_of_a_copy_is_outside_its_directory(in_empty_folder: Path, name: str) -> None:
    main(["copy", name])
    copy = Path(f"{Path(name).name}.yaml")
    document = load_recipe(copy, environment={}).document
    schema, *_ = copy.read_text(encoding="utf-8").splitlines()
    assert f"# pipeline run {copy} " in copy.read_text(encoding="utf-8")
    assert (in_empty_folder / schema.partition("$schema=")[2]).is_file()

    def strings(value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            for inner in value.values() if isinstance(value, dict) else value:
                yield from strings(inner)

    assert not [text for text in strings(document.tree) if text.startswith(("/", "~", ".."))]


def test_the_schema_is_copied_too(in_empty_folder: Path) -> None:
    main(["copy", "digits_lenet"])
    assert Path(SCHEMA_FILE).read_bytes() == SCHEMA.read_bytes()


def test_an_existing_schema_is_not_replaced(in_empty_folder: Path) -> None:
    Path(SCHEMA_FILE).write_text("{}")
    assert main(["copy", "digits_lenet"]) == 0
    assert Path(SCHEMA_FILE).read_text() == "{}"


@pytest.mark.parametrize(
    ("destination", "target"),
    [("mine.yaml", "mine.yaml"), ("there", "there/digits_lenet.yaml"), ("there/x", "there/x")],
)
def test_the_destination_is_a_directory_or_a_new_file(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str], destination: str, target: str
) -> None:
    Path("there").mkdir()
    assert main(["copy", "digits_lenet", destination]) == 0
    assert capsys.readouterr().out == f"{target}\n"
    assert Path(target).is_file()
    assert Path(target).with_name(SCHEMA_FILE).is_file()


def test_an_existing_file_is_never_replaced(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("digits_lenet.yaml").write_text("mine")
    assert main(["copy", "digits_lenet"]) == 2
    assert capsys.readouterr() == (
        "",
        "Error: digits_lenet.yaml already exists. Choose another name, or remove it first.\n",
    )
    assert Path("digits_lenet.yaml").read_text() == "mine"


def test_a_missing_directory_is_an_error(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["copy", "digits_lenet", "absent/mine.yaml"]) == 2
    assert capsys.readouterr().err == (
        "Error: absent/mine.yaml cannot be written: No such file or directory.\n"
    )


def test_the_error_of_an_unknown_recipe_suggests_the_nearest(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["copy", "mnist_mpl"]) == 2
    assert capsys.readouterr().err == (
        f"Error: Unknown recipe 'mnist_mpl'. Available: {', '.join(shipped_recipes())}. "
        "Did you mean 'mnist_mlp'?\n"
    )
    assert list(in_empty_folder.iterdir()) == []


def test_a_copied_recipe_is_valid(in_empty_folder: Path) -> None:
    main(["copy", "digits_lenet"])
    assert main(["validate", "digits_lenet.yaml"]) == 0
