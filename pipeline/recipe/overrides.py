"""Replace values of a recipe by path, for `--set` and for the trials of a search."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config import KeyPath
from pipeline.errors import RecipeError, RecipeProblem, UsageError, escape_unprintable
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.validation_messages import key_paths
from pipeline.recipe.yaml_reader import MAX_DEPTH, Document, Location, dotted_path, parse_value
from pipeline.secrets import mask_credentials
from pipeline.suggestions import did_you_mean

Overrides = Mapping[str, Any] | Sequence[str]
OverridePath = tuple[str, ...]


@dataclass(frozen=True)
class Removal:
    """An override that removes a key, as if the recipe did not have it.

    Attributes:
        where: the `--set` argument.
    """

    where: str


def override_arguments(overrides: Overrides) -> tuple[str, ...]:
    """Return overrides as `--set` takes them, so that a run can be repeated on the command line.

    Args:
        overrides: Python values by dotted path, such as `{"training.epochs": 3}`, or `path=value`
            strings, which are returned as they are. `path=` removes a key.

    Raises:
        UsageError: if a value is not one that a recipe can hold.
    """
    if not isinstance(overrides, Mapping):
        return tuple(overrides)
    return tuple(f"{path}={_as_yaml(path, value)}" for path, value in overrides.items())


def _as_yaml(path: str, value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, default=_as_plain_value)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"overrides: {path}: expected a number, a string, a path, true or false, None, a list "
            f"or a dict. Received: {error}."
        ) from None
    escaped = "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)
    return escaped.replace("${", "$${")  # a Python string names no environment variable


def _as_plain_value(value: Any) -> Any:
    """Return a path as a string, and a number of NumPy as one of Python."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a value of type {type(value).__name__}")


def parse_overrides(
    arguments: tuple[str, ...], *, directory: Path, environment: Mapping[str, str]
) -> dict[OverridePath, Document | Removal]:
    """Parse `a.b=value` arguments, and `a.b=`, which removes a key.

    Args:
        arguments: the `--set` arguments. The last one of a path counts.
        directory: the directory that relative paths in values are relative to.
        environment: the values of `${NAME}`.

    Returns:
        The value of each path, as a document whose locations are the argument, or its removal.

    Raises:
        RecipeError: with all arguments that are not valid.
    """
    problems: list[RecipeProblem] = []
    values: dict[OverridePath, Document | Removal] = {}
    for argument in arguments:
        where = f"--set {mask_credentials(escape_unprintable(argument))}"
        name, equals, text = argument.partition("=")
        path = tuple(name.strip().split("."))
        if not equals or not all(path):
            problems.append(RecipeProblem(where, "", "Expected path=value, as in seed=7."))
            continue
        if len(path) > MAX_DEPTH:
            problems.append(RecipeProblem(where, "", f"Nested deeper than {MAX_DEPTH} levels."))
            continue
        values.pop(path, None)  # so that the last one determines the order
        if not text.strip():
            values[path] = Removal(where)
            continue
        try:
            values[path] = parse_value(
                text, name=where, directory=directory, environment=environment
            )
        except RecipeError as error:
            problems.extend(error.problems)
    if problems:
        raise RecipeError(problems)
    return values


def apply_overrides(
    document: Document, values: Mapping[OverridePath, Document | Removal]
) -> Document:
    """Return `document` with the value at each path replaced, added with its sections, or removed.

    Values are not compared with the grammar: the result is validated later.

    Raises:
        RecipeError: if a path leads through a single value or to an index outside a list, or a key
            to remove is unknown.
    """
    tree, secrets = copy.deepcopy(document.tree), dict(document.secrets)
    locations = dict(document.locations)
    problems: list[RecipeProblem] = []
    for path, value in values.items():
        if isinstance(value, Removal):
            problem = _remove(tree, path)
            if problem:
                problems.append(RecipeProblem(value.where, dotted_path(path), problem))
            _forget(locations, path)
            continue
        where = value.location_of(())
        # A copy, because a later path may lead into the value.
        actual, problem = _assign(tree, path, copy.deepcopy(value.tree))
        if problem:
            problems.append(RecipeProblem(where.key, dotted_path(path), problem))
            continue
        _forget(locations, actual)
        for length in range(1, len(actual)):
            is_item = isinstance(actual[length - 1], int)  # it has no key with a location
            if is_item or actual[:length] not in locations:
                locations[actual[:length]] = where
        locations |= {(*actual, *inner): place for inner, place in value.locations.items()}
        secrets |= value.secrets
    if problems:
        raise RecipeError(problems)
    return Document(tree, locations, secrets)


def _forget(locations: dict[KeyPath, Location], path: KeyPath) -> None:
    """Delete the locations of a value and of all that is in it."""
    for known in [known for known in locations if known[: len(path)] == path]:
        del locations[known]


def _remove(tree: Any, path: OverridePath) -> str | None:
    """Remove the key at `path` from `tree`, if it is there; return the error, if any."""
    node = tree
    for depth, part in enumerate(path):
        parent = dotted_path(path[:depth])
        if isinstance(node, list):
            return f"'{parent}' is a list, whose items cannot be removed. Set the whole list."
        if not isinstance(node, dict | None):
            return f"'{parent}' is a single value and has no key '{part}'."
        if node is None or part not in node:
            known = {known for known, _ in key_paths(Recipe)}
            dotted = ".".join(path)
            return None if dotted in known else f"unknown key.{did_you_mean(dotted, known)}"
        if depth == len(path) - 1:
            del node[part]
        else:
            node = node[part]
    return None


def _assign(tree: Any, path: OverridePath, value: Any) -> tuple[KeyPath, str | None]:
    """Set the value at `path` in `tree`.

    Returns:
        The path with list indices as integers, and the error, if any.
    """
    node = tree
    actual: list[str | int] = []
    for depth, part in enumerate(path):
        parent = dotted_path(path[:depth])
        key: str | int = part
        if isinstance(node, list):
            if not re.fullmatch("[0-9]{1,9}", part) or int(part) >= len(node):
                return path, f"'{parent}' is a list of {len(node)} items. Received index '{part}'."
            key = int(part)
        elif not isinstance(node, dict):
            return path, f"'{parent}' is a single value and has no key '{part}'."
        elif node.get(key) is None:
            node[key] = {}
        if depth == len(path) - 1:
            node[key] = value
        actual.append(key)
        node = node[key]
    return tuple(actual), None
