"""The recipes that come with the package."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pipeline
from pipeline.errors import UsageError
from pipeline.recipe.grammar import SCHEMA_FILE
from pipeline.recipe.loader import read_text
from pipeline.recipe.yaml_reader import parse
from pipeline.suggestions import did_you_mean


def recipes_directory() -> Path:
    """Return the directory of the recipes: in an installed package, next to it in a checkout."""
    package = Path(pipeline.__file__).parent
    installed = package / "recipes"
    return installed if installed.is_dir() else package.parent / "recipes"


def shipped_recipes() -> dict[str, Path]:
    """Return the shipped recipes by name, such as `digits_lenet` or, in a group, `course/moons`.

    Those without a group come first.
    """
    root = recipes_directory()
    paths = [*sorted(root.glob("*.yaml")), *sorted(root.glob("*/*.yaml"))]
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in paths}


def find_shipped(name: str) -> Path:
    """Return the shipped recipe called `name`.

    Raises:
        UsageError: if it does not exist.
    """
    recipes = shipped_recipes()
    if name not in recipes:
        raise UsageError(
            f"Unknown recipe '{name}'. Available: {', '.join(recipes)}."
            f"{did_you_mean(name, recipes)}"
        )
    return recipes[name]


def description_of(path: Path) -> str:
    """Return the description of a recipe."""
    document = parse(read_text(path), name=path.name, directory=path.parent, environment={})
    return str(document.tree.get("description", ""))


def copy_shipped(name: str, destination: Path) -> Path:
    """Copy a shipped recipe, and the JSON Schema for editors, and return the path of the copy.

    Paths in the copy are inside its directory: `../data` of the shipped recipe becomes `data`.

    Args:
        name: the name of the recipe.
        destination: a directory, or the path of the new file.

    Raises:
        UsageError: if the recipe is unknown, or the file exists or cannot be written.
    """
    source = find_shipped(name)
    target = destination / source.name if destination.is_dir() else destination
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(_adapted(source.read_text(encoding="utf-8"), name, target.name))
        schema = target.parent / SCHEMA_FILE
        if not schema.exists():
            shutil.copyfile(recipes_directory() / SCHEMA_FILE, schema)
    except FileExistsError:
        raise UsageError(
            f"{target} already exists. Choose another name, or remove it first."
        ) from None
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}.") from None
    return target


def _adapted(text: str, name: str, new_name: str) -> str:
    """Return the text of a shipped recipe for a copy, with its commands and paths changed.

    A comment behind a path keeps its column.
    """
    text = text.replace(f"recipes/{name}.yaml", new_name)
    group = "../" * name.count("/")  # from its directory to that of the recipes
    text = text.replace(f"$schema={group}", "$schema=")
    return re.sub(rf"(?m)^( *\w+: )({group}\.\./)(\S+)( (?= *#))?", _without_parents, text)


def _without_parents(match: re.Match[str]) -> str:
    key, parents, path, gap = match.groups()
    return f"{key}{path}" + (gap + " " * len(parents) if gap else "")
