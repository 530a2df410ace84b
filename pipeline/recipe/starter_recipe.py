"""Writes a first recipe, with the reason for each value as a comment."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.atomic_files import atomic_write
from pipeline.errors import UsageError, escape_unprintable
from pipeline.recipe.data_choices import Choice
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.loader import check_document, dump_value
from pipeline.recipe.yaml_reader import parse

_WIDTH = 96


def render_recipe(choices: Sequence[Choice], *, title: Sequence[str], directory: Path) -> str:
    """Return the YAML of choices, each below its reason.

    Args:
        choices: the keys of a section one after another.
        title: the lines of the comment at the top.
        directory: of the recipe, which paths are written relative to.
    """
    lines = [line for text in title for line in _comment(text, "")]
    section = ""
    for choice in choices:
        parent, _, key = choice.key.rpartition(".")
        if parent and parent != section:
            lines.append(f"{parent}:")
        section = parent
        indent = "  " if parent else ""
        lines += _comment(choice.reason, indent) if choice.reason else []
        lines += _entry(key, _relative(choice.value, directory), indent)
    return "\n".join(lines) + "\n"


def write_recipe(text: str, path: Path) -> None:
    """Check a recipe and write it to a file.

    Raises:
        UsageError: if the file cannot be written.
        RecipeError: if the recipe is not valid, as with a name that YAML cannot write.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)  # or relative paths lead nowhere
        check_recipe(text, path)
        atomic_write(path, text.encode())
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None


def check_recipe(text: str, path: Path) -> Recipe:
    """Return the recipe of a text that belongs into a file.

    Raises:
        RecipeError: if it is not valid.
    """
    document = parse(text, name=str(path), directory=path.absolute().parent, environment={})
    return check_document(document, name=path.stem)[0]


def _entry(key: str, value: Any, indent: str) -> list[str]:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        items = (
            f"{indent}  - {name}: {dump_value(inner)}" for e in value for name, inner in e.items()
        )
        return [f"{indent}{key}:", *items]
    return [f"{indent}{key}: {dump_value(value)}"]


def _comment(text: str, indent: str) -> list[str]:
    printable = escape_unprintable(text)
    if not printable:
        return [f"{indent}#"]
    return textwrap.wrap(
        printable,
        _WIDTH,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}# ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _relative(value: Any, directory: Path) -> Any:
    """Return a path as it is written: relative to the recipe, unless it is far from it."""
    if not isinstance(value, Path):
        return value
    path = value.absolute()
    if not _shares_parent(path, directory):
        return path.as_posix()
    relative = Path(os.path.relpath(path, directory))
    # Through a link to the directory, .. leads elsewhere.
    reached = os.path.realpath(Path(os.path.realpath(directory), relative))
    return (relative if reached == os.path.realpath(path) else path).as_posix()


def _shares_parent(path: Path, directory: Path) -> bool:
    try:
        common = os.path.commonpath([path, directory.absolute()])
    except ValueError:  # another drive of Windows
        return False
    return Path(common) != Path(path.anchor)
