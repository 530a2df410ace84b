from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.recipe import shipped
from pipeline.recipe.grammar import SCHEMA_FILE
from pipeline.recipe.loader import load_recipe

RECIPES = shipped.shipped_recipes()


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_is_valid_without_a_warning(name: str) -> None:
    loaded = load_recipe(RECIPES[name], environment={})
    assert loaded.warnings == ()
    assert loaded.recipe.name == Path(name).name


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_begins_with_its_schema_command_hardware_time_and_accuracy(
    name: str,
) -> None:
    lines = RECIPES[name].read_text(encoding="utf-8").splitlines()
    header = lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))]
    schema = "../" * name.count("/") + SCHEMA_FILE
    assert header[0] == f"# yaml-language-server: $schema={schema}"
    command = rf"# pipeline run recipes/{name}\.yaml +about \d+ s on 2 CPU cores +"
    accuracy = r"\w+_\w+ (about 0\.\d+|0\.\d+ ± 0\.\d+|1\.000)"
    measured = [line for line in header if re.fullmatch(command + accuracy, line)]
    assert len(measured) == 1


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_has_a_description(name: str) -> None:
    description = shipped.description_of(RECIPES[name])
    assert description == load_recipe(RECIPES[name], environment={}).recipe.description
    assert description.endswith(".")


def test_a_recipe_without_a_description_has_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("seed: 3\n")
    assert shipped.description_of(path) == ""


def test_shipped_recipes_are_sorted_by_name() -> None:
    assert list(RECIPES) == sorted(RECIPES, key=lambda name: ("/" in name, name))
    assert "digits_lenet" in RECIPES


def test_a_shipped_recipe_is_found_by_its_name() -> None:
    assert shipped.find_shipped("digits_lenet") == shipped.recipes_directory() / "digits_lenet.yaml"


def test_the_error_of_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        shipped.find_shipped("digit_lenet")
    assert str(caught.value) == (
        f"Unknown recipe 'digit_lenet'. Available: {', '.join(RECIPES)}. "
        "Did you mean 'digits_lenet'?"
    )
