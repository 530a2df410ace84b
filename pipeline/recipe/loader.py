"""A recipe's file becomes a checked `Recipe`, or an error that names all of its problems."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipeline.errors import RecipeError, RecipeProblem, UsageError, escape_unprintable
from pipeline.models import transfer
from pipeline.recipe import cross_checks
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.overrides import (
    Overrides,
    apply_overrides,
    override_arguments,
    parse_overrides,
)
from pipeline.recipe.space_checks import (
    apply_trial_values,
    check_space,
    space_warnings,
)
from pipeline.recipe.validation_messages import describe_errors, location_of
from pipeline.recipe.yaml_reader import Document, KeyPath, dotted_path, parse, resolve_scalar
from pipeline.secrets import mask_secrets


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe that can be run.

    Attributes:
        path: the file.
        recipe: with every default filled in.
        document: what it was checked from, with the place of every value.
        text: the file as written.
        overrides: the `--set` arguments, in order.
        warnings: what is probably not meant.
        secrets: what stands for each secret from the environment where it is shown, as `${NAME}`.
    """

    path: Path
    recipe: Recipe
    document: Document
    text: str
    overrides: tuple[str, ...]
    warnings: tuple[RecipeProblem, ...]
    secrets: Mapping[str, str]


def load_recipe(
    path: Path,
    overrides: Overrides = (),
    *,
    environment: Mapping[str, str] | None = None,
) -> LoadedRecipe:
    """Read and check a recipe.

    Args:
        path: the file; relative paths in it start from its directory.
        overrides: `a.b=value` strings, or Python values by dotted path. Relative paths in them
            start from the working directory.
        environment: the values of `${NAME}`; the process's own unless given.

    Raises:
        UsageError: if the file cannot be read.
        RecipeError: with every problem of the recipe.
    """
    environment = os.environ if environment is None else environment
    text = read_text(path)
    document = parse(text, name=str(path), folder=path.absolute().parent, environment=environment)
    arguments = override_arguments(overrides)
    values = parse_overrides(arguments, folder=Path.cwd(), environment=environment)
    document = apply_overrides(document, values)
    recipe, warnings = check_document(document, name=path.stem)
    return LoadedRecipe(path, recipe, document, text, arguments, warnings, document.secrets)


def check_document(document: Document, *, name: str) -> tuple[Recipe, tuple[RecipeProblem, ...]]:
    """Return the recipe of a document, and its warnings.

    Args:
        document: the values of a recipe.
        name: what the recipe is called if it does not say.

    Raises:
        RecipeError: with every problem: those of single values first, then the contradictions
            between what is left when those values are taken out.
    """
    tree = {"name": name, **document.tree}
    problems: list[RecipeProblem] = []
    problem_paths: set[KeyPath] = set()
    recipe = None
    try:
        recipe = Recipe.model_validate(tree)
    except ValidationError as error:
        found = describe_errors(error, document, Recipe)
        problems.extend(_without_secrets(found.values(), document))
        problem_paths.update(found)
        recipe = _without(tree, found)
    if recipe is None:
        raise RecipeError(sorted(problems, key=_position))
    in_doubt = [key for key in cross_checks.TRUSTED if _is_in_doubt(key, problem_paths, document)]
    problems.extend(_located(cross_checks.errors_in(recipe, in_doubt), document))
    if recipe.tuning and not problems:
        problems += check_space(
            document, recipe.tuning, lambda substituted: check_document(substituted, name=name)
        )
    if problems:
        raise RecipeError(sorted(problems, key=_position))
    warned = _located(cross_checks.warnings_in(recipe), document, is_warning=True)
    if recipe.tuning:
        warned += space_warnings(document, recipe.tuning)
    return recipe, tuple(warned)


def with_overrides(loaded: LoadedRecipe, values: Mapping[str, Any]) -> LoadedRecipe:
    """Return a recipe with other values, as a trial of a search runs it: without `tuning`.

    Args:
        loaded: the recipe.
        values: by dotted path, whole sections before what is in them.

    Raises:
        RecipeError: if the values contradict each other or the rest.
    """
    document = apply_trial_values(loaded.document, dict(values))
    recipe, warnings = check_document(document, name=loaded.recipe.name)
    secrets = loaded.secrets
    text = dump_recipe(recipe, secrets)
    return LoadedRecipe(loaded.path, recipe, document, text, (), warnings, secrets)


def read_text(path: Path) -> str:
    """Return the text of a recipe's file.

    Raises:
        UsageError: if there is no such file or it cannot be read.
        RecipeError: if it is not UTF-8.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(
            f"{path}: there is no such file. `pipeline list` names the recipes that come with the "
            "package, `pipeline copy NAME` fetches one."
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{path}: the recipe cannot be read: {reason}.") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        message = f"The byte #x{data[error.start]:02x} is not UTF-8."
        raise RecipeError([RecipeProblem(f"{path}:{line}:{column}", "", message)]) from None


def dump_recipe(recipe: Recipe, secrets: Mapping[str, str]) -> str:
    """Return the YAML of a recipe with every default filled in.

    It loads as the same recipe; what a secret stood for is taken from the environment again.
    """
    tree = recipe.model_dump(mode="json", by_alias=True)
    if recipe.tuning is None:
        del tree["tuning"]
    if isinstance(recipe.model, transfer.TransferConfig) and not recipe.model.application:
        del tree["model"]["weights"]  # a file brings its own
    escaped = {_escaped(value): name for value, name in secrets.items()}
    return yaml.dump(
        _with_texts(tree, lambda text: mask_secrets(_escaped(text), escaped)),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=100,
    )


def _escaped(text: str) -> str:
    return text.replace("${", "$${")


class _Dumper(yaml.SafeDumper):
    """PyYAML's writer, for the reader in `pipeline.recipe.yaml_reader`."""

    def text(self, text: str) -> yaml.ScalarNode:
        has_variable = "${" in text.replace("$${", "")  # whose value may look like a number
        try:
            style = None if isinstance(resolve_scalar(text), str) and not has_variable else "'"
        except ValueError:
            style = "'"
        return self.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _Dumper.text)


def masked_values(recipe: Recipe, secrets: Mapping[str, str]) -> dict[str, Any]:
    """Return the recipe as JSON can hold it, with every default filled in and without secrets."""
    tree = recipe.model_dump(mode="json", by_alias=True)
    return dict(_with_texts(tree, lambda text: mask_secrets(text, secrets)))


def _with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return a tree with each text that is a value replaced by what `change` makes of it."""
    if isinstance(value, dict):
        return {key: _with_texts(inner, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_texts(inner, change) for inner in value]
    return change(value) if isinstance(value, str) else value


def run_parameters(recipe: Recipe, secrets: Mapping[str, str]) -> dict[str, str]:
    """Return what a run depends on as dotted paths with their values as text, no secrets."""
    tree = masked_values(recipe, secrets)
    tree.pop("tuning", None)
    return flatten(tree)


def flatten(tree: Mapping[str, Any]) -> dict[str, str]:
    """Return a recipe's values as text by dotted path."""
    flat: dict[str, str] = {}

    def flatten(value: Any, path: KeyPath) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                flatten(inner, (*path, key))
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            for position, item in enumerate(value):
                flatten(item, (*path, position))
        else:
            flat[dotted_path(path)] = value if isinstance(value, str) else json.dumps(value)

    flatten(tree, ())
    return flat


def _without(tree: dict[str, Any], paths: Mapping[KeyPath, RecipeProblem]) -> Recipe | None:
    """Return the recipe that is left without the values at `paths`, if one is."""
    rest = copy.deepcopy(tree)
    # The deepest first, and the last of a list first, so that no path points elsewhere.
    for path in sorted(paths, key=_depth_and_place, reverse=True):
        node: Any = rest
        try:
            for part in path[:-1]:
                node = node[part]
            if isinstance(node, dict):
                node.pop(path[-1], None)
            elif isinstance(node, list):
                del node[int(path[-1])]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    try:
        return Recipe.model_validate(rest)
    except ValidationError:
        return None


def _is_in_doubt(key: KeyPath, paths: set[KeyPath], document: Document) -> bool:
    """Return whether a problem may be the reason why `key` has its default."""
    if any(key[: len(path)] == path for path in paths):
        return True
    is_misspelt = any(path[:-1] == key[:-1] for path in paths)
    return is_misspelt and key not in document.values


def _depth_and_place(path: KeyPath) -> tuple[int, list[tuple[bool, str | int]]]:
    return len(path), [(isinstance(part, int), part) for part in path]


def _located(findings: Any, document: Document, *, is_warning: bool = False) -> list[RecipeProblem]:
    located = (
        RecipeProblem(
            location_of(document, path), dotted_path(path), escape_unprintable(message), is_warning
        )
        for path, message in findings
    )
    return _without_secrets(located, document)


def _without_secrets(problems: Iterable[RecipeProblem], document: Document) -> list[RecipeProblem]:
    return [
        replace(problem, message=mask_secrets(problem.message, document.secrets))
        for problem in problems
    ]


def _position(problem: RecipeProblem) -> tuple[int, int]:
    """Return line and column, for the order of the text; what has none comes last."""
    parts = problem.where.rsplit(":", 2)
    is_argument = problem.where.startswith("--set ")
    if not is_argument and len(parts) == 3 and parts[1].isdecimal() and parts[2].isdecimal():
        return int(parts[1]), int(parts[2])
    return 10**9, 0
