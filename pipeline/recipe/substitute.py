"""`substitute(document, {path: value})`: one mechanism for `--set` and for the search."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import Problem, RecipeError
from pipeline.recipe.text import Document, KeyPath, dotted, parse_value


def assignments(
    arguments: tuple[str, ...], *, folder: Path, environment: Mapping[str, str]
) -> dict[KeyPath, tuple[Any, Document]]:
    """Read `a.b=value` arguments.

    Args:
        arguments: what was given to `--set`, in order; a later one replaces an earlier one.
        folder: the folder that a relative path in a value starts from.
        environment: the values of `${NAME}`.

    Returns:
        The value of each path, with a document that knows which argument it came from.

    Raises:
        RecipeError: with every argument that is no assignment.
    """
    problems: list[Problem] = []
    found: dict[KeyPath, tuple[Any, Document]] = {}
    for argument in arguments:
        where = f"--set {argument}"
        name, equals, text = argument.partition("=")
        parts = name.strip().split(".")
        if not equals or not all(parts):
            problems.append(Problem(where, "", "Expected path=value, as in seed=7."))
            continue
        path: KeyPath = tuple(int(part) if part.isdecimal() else part for part in parts)
        try:
            value, keys, values = parse_value(
                text, name=where, folder=folder, environment=environment
            )
        except RecipeError as error:
            problems.extend(error.problems)
            continue
        prefix_keys = {path[:i]: where for i in range(1, len(path) + 1)}
        found[path] = (
            value,
            Document(
                {},
                {**prefix_keys, **{(*path, *inner): place for inner, place in keys.items()}},
                {**prefix_keys, **{(*path, *inner): place for inner, place in values.items()}},
            ),
        )
    if problems:
        raise RecipeError(problems)
    return found


def substitute(document: Document, values: Mapping[KeyPath, tuple[Any, Document]]) -> Document:
    """Return `document` with the value at each path replaced, missing sections made on the way.

    Whether a path exists in the grammar is not asked here: the check of the result says so.

    Raises:
        RecipeError: if a path leads through a value that has no keys, or past a list's end.
    """
    tree = copy.deepcopy(document.tree)
    keys, places = dict(document.keys), dict(document.values)
    problems: list[Problem] = []
    for path, (value, origin) in values.items():
        problem = _assign(tree, path, value)
        if problem:
            problems.append(Problem(origin.values[path], dotted(path), problem))
            continue
        for place in [known for known in places if known[: len(path)] == path]:
            del places[place]
            keys.pop(place, None)
        for known, place in origin.keys.items():
            if len(known) >= len(path):
                keys[known] = place
            else:
                keys.setdefault(known, place)
        for known, place in origin.values.items():
            if len(known) >= len(path):
                places[known] = place
            else:
                places.setdefault(known, place)
    if problems:
        raise RecipeError(problems)
    return Document(tree, keys, places)


def _assign(tree: Any, path: KeyPath, value: Any) -> str | None:
    """Put `value` at `path` in `tree`; return what is in the way, if anything."""
    node = tree
    for position, part in enumerate(path):
        is_last = position == len(path) - 1
        at = dotted(path[:position])
        if isinstance(node, list):
            if not isinstance(part, int) or part >= len(node):
                return f"'{at}' is a list of {len(node)}. Received the place '{part}'."
            if is_last:
                node[part] = value
            node = node[part]
        elif isinstance(node, dict):
            key = str(part)
            if is_last:
                node[key] = value
            elif node.get(key) is None:
                node[key] = {}
            node = node[key]
        else:
            return f"'{at}' is a single value and has no key '{part}'."
    return None
