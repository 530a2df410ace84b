"""A first recipe as YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import RecipeError, UsageError
from pipeline.recipe.data_choices import Choice
from pipeline.recipe.loader import load_recipe
from pipeline.recipe.starter_recipe import render_recipe, write_recipe

CHOICES = (
    Choice("name", "digits"),
    Choice("data.source", "digits", "They come with scikit-learn."),
    Choice("data.augmentation", [{"random_zoom": {"height_factor": 0.1}}], "Sizes differ."),
    Choice("model.architecture", "mlp"),
    Choice("optimizer", {"name": "sgd", "learning_rate": 0.01}, "Simple."),
)


def test_each_value_stands_below_its_reason() -> None:
    assert render_recipe(CHOICES, title=("A title.", ""), directory=Path()) == (
        "# A title.\n"
        "#\n"
        "name: digits\n"
        "data:\n"
        "  # They come with scikit-learn.\n"
        "  source: digits\n"
        "  # Sizes differ.\n"
        "  augmentation:\n"
        "    - random_zoom: {height_factor: 0.1}\n"
        "model:\n"
        "  architecture: mlp\n"
        "# Simple.\n"
        "optimizer: {name: sgd, learning_rate: 0.01}\n"
    )


@pytest.mark.parametrize(
    "name", ["no", "1e3", "a: b # c", "${HOME}", "x\nmodel: {}", "[", "'", "ä\u2028b", ""]
)
def test_a_strange_name_is_read_as_it_is(name: str, tmp_path: Path) -> None:
    choices = (Choice("name", "x"), Choice("description", name, name), *CHOICES[1:])
    text = render_recipe(choices, title=(name,), directory=tmp_path)
    write_recipe(text, tmp_path / "recipe.yaml")
    assert load_recipe(tmp_path / "recipe.yaml").recipe.description == name


def test_paths_are_relative_to_the_recipe(tmp_path: Path) -> None:
    choices = (Choice("data.path", tmp_path / "images"),)
    text = render_recipe(choices, title=(), directory=tmp_path / "recipes")
    assert text == "data:\n  path: ../images\n"


def test_a_path_with_nothing_in_common_is_absolute(tmp_path: Path) -> None:
    text = render_recipe((Choice("data.path", Path("/none/a")),), title=(), directory=tmp_path)
    assert text == "data:\n  path: /none/a\n"


def test_a_path_that_a_link_would_lead_astray_is_absolute(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "recipes").symlink_to(tmp_path / "far" / "away")
    choices = (Choice("data.path", tmp_path / "images"),)
    text = render_recipe(choices, title=(), directory=tmp_path / "recipes")
    assert text == f"data:\n  path: {tmp_path / 'images'}\n"


def test_an_invalid_recipe_is_not_written(tmp_path: Path) -> None:
    text = render_recipe(CHOICES[:2], title=(), directory=tmp_path)
    with pytest.raises(RecipeError, match="model"):
        write_recipe(text, tmp_path / "recipe.yaml")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_of_the_recipe_is_made(tmp_path: Path) -> None:
    text = render_recipe(CHOICES, title=(), directory=tmp_path)
    write_recipe(text, tmp_path / "new" / "recipe.yaml")
    assert load_recipe(tmp_path / "new" / "recipe.yaml").warnings == ()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    text = render_recipe(CHOICES, title=(), directory=tmp_path)
    path = tmp_path / "file" / "recipe.yaml"
    with pytest.raises(UsageError, match=rf"^{path} cannot be written: "):
        write_recipe(text, path)
