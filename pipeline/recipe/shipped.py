"""The recipes that come with the package."""

from __future__ import annotations

from pathlib import Path

import pipeline
from pipeline.errors import UsageError
from pipeline.recipe.grammar import SCHEMA_FILE
from pipeline.recipe.loader import read_text
from pipeline.recipe.yaml_reader import parse
from pipeline.suggestions import did_you_mean


def recipes_directory() -> Path:
    """Return the folder of the recipes: inside an installed package, beside one in a checkout."""
    package = Path(pipeline.__file__).parent
    installed = package / "recipes"
    return installed if installed.is_dir() else package.parent / "recipes"


def shipped_recipes() -> dict[str, Path]:
    """Return the shipped recipes by name."""
    return {path.stem: path for path in sorted(recipes_directory().glob("*.yaml"))}


def find_shipped(name: str) -> Path:
    """Return the shipped recipe called `name`.

    Raises:
        UsageError: if there is none.
    """
    recipes = shipped_recipes()
    if name not in recipes:
        raise UsageError(
            f"There is no shipped recipe '{name}'. Available: {', '.join(recipes)}."
            f"{did_you_mean(name, recipes)}"
        )
    return recipes[name]


def description_of(path: Path) -> str:
    """Return what a recipe says it is for."""
    document = parse(read_text(path), name=path.name, folder=path.parent, environment={})
    return str(document.tree.get("description", ""))


def copy_shipped(name: str, destination: Path) -> Path:
    """Write a shipped recipe, and the schema that editors complete it by, to `destination`.

    Args:
        name: the recipe.
        destination: a folder, or the path of the new file.

    Raises:
        UsageError: if the file exists, or cannot be written.
    """
    source = find_shipped(name)
    target = destination / source.name if destination.is_dir() else destination
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(source.read_text(encoding="utf-8"))
        schema = target.parent / SCHEMA_FILE
        if not schema.exists():
            schema.write_text(
                (recipes_directory() / SCHEMA_FILE).read_text(encoding="utf-8"), "utf-8"
            )
    except FileExistsError:
        raise UsageError(f"{target} exists. Give another name, or remove it first.") from None
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}.") from None
    return target
