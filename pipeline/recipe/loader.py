"""Load a recipe file as a validated `Recipe`, or report all of its errors at once."""

from __future__ import annotations

import copy
import json
import math
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipeline.config import Finding, KeyPath
from pipeline.errors import RecipeError, RecipeProblem, UsageError, escape_unprintable
from pipeline.recipe import cross_checks
from pipeline.recipe.grammar import CHOICE_KEYS, Recipe
from pipeline.recipe.overrides import (
    Overrides,
    apply_overrides,
    override_arguments,
    parse_overrides,
)
from pipeline.recipe.space_checks import apply_trial_values, check_space
from pipeline.recipe.validation_messages import describe_errors, format_value
from pipeline.recipe.yaml_reader import Document, dotted_path, parse, resolve_scalar
from pipeline.secrets import mask_secrets, replace_secrets


@dataclass(frozen=True)
class LoadedRecipe:
    """A valid recipe.

    Attributes:
        path: the file.
        recipe: the recipe, with all defaults.
        document: the values it was validated from, with their locations.
        text: the contents of the file.
        overrides: the `--set` arguments, in order.
        warnings: values that have no effect or are probably wrong.
    """

    path: Path
    recipe: Recipe
    document: Document
    text: str
    overrides: tuple[str, ...]
    warnings: tuple[RecipeProblem, ...]

    @property
    def secrets(self) -> Mapping[str, str]:
        """The `${NAME}` to show in place of each secret from the environment."""
        return self.document.secrets

    def __reduce__(self) -> tuple[Callable[..., LoadedRecipe], tuple[Any, ...]]:
        """Return what makes it again in another process, from the document."""
        return _check_again, (self.path, self.document, self.recipe.name, self.text, self.overrides)


def load_recipe(
    path: Path,
    overrides: Overrides = (),
    *,
    environment: Mapping[str, str] | None = None,
) -> LoadedRecipe:
    """Load and validate a recipe.

    Example:
        `load_recipe(Path("recipe.yaml"), ("training.epochs=3",)).recipe.model`

    Args:
        path: the file. Relative paths in it are relative to its directory.
        overrides: `a.b=value` arguments, or Python values by dotted path. Relative paths in them
            are relative to the working directory.
        environment: the values of `${NAME}`. Default: the environment of the process.

    Raises:
        UsageError: if the file cannot be read.
        RecipeError: with all errors of the recipe.
    """
    environment = os.environ if environment is None else environment
    text = read_text(path)
    document = parse(
        text, name=str(path), directory=path.absolute().parent, environment=environment
    )
    arguments = override_arguments(overrides)
    values = parse_overrides(arguments, directory=Path.cwd(), environment=environment)
    document = apply_overrides(document, values)
    recipe, warnings = check_document(document, name=path.stem)
    return LoadedRecipe(path, recipe, document, text, arguments, warnings)


def _check_again(
    path: Path, document: Document, name: str, text: str, overrides: tuple[str, ...]
) -> LoadedRecipe:
    recipe, warnings = check_document(document, name=name)
    return LoadedRecipe(path, recipe, document, text, overrides, warnings)


def check_document(
    document: Document, *, name: str, varied: Collection[KeyPath] = ()
) -> tuple[Recipe, tuple[RecipeProblem, ...]]:
    """Return the recipe of a document, and its warnings.

    Args:
        document: the values of a recipe.
        name: the name of the recipe if it has none.
        varied: the paths that a search varies, if the recipe is one of its trials.

    Raises:
        RecipeError: with all errors: of single values, and of the checks across sections on the
            recipe without the invalid values.
    """
    tree = {"name": name, **document.tree}
    invalid: dict[KeyPath, str] = {}
    recipe: Recipe | None
    try:
        recipe = Recipe.model_validate(tree)
    except ValidationError as error:
        invalid = {
            path: message + _leftover_hint(path, document)
            for path, message in describe_errors(error, document.tree, Recipe).items()
        }
        recipe = _recipe_without(tree, invalid)
    problems = _located(invalid.items(), document)
    warnings: list[RecipeProblem] = []
    if recipe:
        in_doubt = [k for k in cross_checks.ASSUMED_VALID if _is_in_doubt(k, invalid, document)]
        problems += _located(cross_checks.errors_in(recipe, in_doubt), document)
        if recipe.tuning and not problems:
            varied = [tuple(path.split(".")) for path in recipe.tuning.space]
            check = partial(check_document, name=name, varied=varied)
            found, warnings = check_space(document, recipe.tuning, check)
            problems += found
    if problems or not recipe:
        raise RecipeError(sorted(problems, key=_position))
    warnings += _located(cross_checks.warnings_in(recipe, varied), document)
    return recipe, tuple(sorted(warnings, key=_position))


def with_overrides(loaded: LoadedRecipe, values: Mapping[str, Any]) -> LoadedRecipe:
    """Return the recipe of a trial: without `tuning` and with the values of the trial.

    Args:
        loaded: the recipe.
        values: by dotted path, sections before their own keys.

    Raises:
        RecipeError: if the result is not a valid recipe.
    """
    document = apply_trial_values(loaded.document, dict(values))
    recipe, warnings = check_document(document, name=loaded.recipe.name)
    text = dump_recipe(recipe, document.secrets)
    return LoadedRecipe(loaded.path, recipe, document, text, (), warnings)


def read_text(path: Path) -> str:
    """Return the contents of a recipe file.

    Raises:
        UsageError: if the file does not exist or cannot be read.
        RecipeError: if it is not UTF-8.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(
            f"{path}: the file does not exist. `pipeline list` lists the recipes that come with "
            "the package, and `pipeline copy NAME` copies one."
        ) from None
    except IsADirectoryError:
        raise UsageError(
            f"{path}: expected the file of a recipe. Received a directory. `pipeline init FOLDER` "
            "writes a recipe for a directory of images."
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{path}: the file cannot be read: {reason}.") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        message = f"The byte #x{data[error.start]:02x} is not UTF-8."
        raise RecipeError([RecipeProblem(f"{path}:{line}:{column}", "", message)]) from None


def dump_recipe(
    recipe: Recipe, secrets: Mapping[str, str], *, keep_credentials: bool = False
) -> str:
    """Return the YAML of a recipe with all defaults.

    It loads as the same recipe: secrets are written as the `${NAME}` that they came from.

    Args:
        recipe: the recipe.
        secrets: the placeholder of each secret from the environment.
        keep_credentials: whether passwords and tokens that URLs of the recipe contain are written
            too, for a file that its owner alone can read. Default: they are masked.
    """
    hide = replace_secrets if keep_credentials else mask_secrets
    tree = recipe.model_dump(mode="json", by_alias=True)
    if recipe.tuning is None:
        del tree["tuning"]
    escaped = {_escaped(value): name for value, name in secrets.items()}
    return yaml.dump(
        _map_strings(tree, lambda text: hide(_escaped(text), escaped)),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )


def dump_value(value: Any) -> str:
    """Return the YAML of one value of a recipe, on one line."""
    escaped = _map_strings([value], _escaped)
    dumped = yaml.dump(
        escaped,
        Dumper=_Dumper,
        default_flow_style=True,
        sort_keys=False,
        allow_unicode=True,
        width=math.inf,
    )
    return dumped.strip()[1:-1]


def _escaped(text: str) -> str:
    return text.replace("${", "$${")


class _Dumper(yaml.SafeDumper):
    """Quotes the strings that `pipeline.recipe.yaml_reader` would not read as strings."""

    def represent_string(self, text: str) -> yaml.ScalarNode:
        has_variable = "${" in text.replace("$${", "")  # whose value may look like a number
        try:
            style = None if isinstance(resolve_scalar(text), str) and not has_variable else "'"
        except ValueError:
            style = "'"
        return self.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _Dumper.represent_string)


def masked_values(recipe: Recipe, secrets: Mapping[str, str]) -> dict[str, Any]:
    """Return the recipe as JSON values, with all defaults and with secrets masked."""
    tree = recipe.model_dump(mode="json", by_alias=True)
    return dict(_map_strings(tree, lambda text: mask_secrets(text, secrets)))


def _map_strings(value: Any, change: Callable[[str], str]) -> Any:
    """Return a tree with `change` applied to each string value."""
    if isinstance(value, dict):
        return {key: _map_strings(inner, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [_map_strings(inner, change) for inner in value]
    return change(value) if isinstance(value, str) else value


def run_parameters(recipe: Recipe, secrets: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of a run by dotted path, with secrets masked."""
    tree = masked_values(recipe, secrets)
    tree.pop("tuning", None)
    return flatten(tree)


def flatten(tree: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of a recipe as strings by dotted path."""
    flat: dict[str, str] = {}

    def add(value: Any, path: KeyPath) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                add(inner, (*path, key))
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            for index, item in enumerate(value):
                add(item, (*path, index))
        else:
            flat[dotted_path(path)] = value if isinstance(value, str) else json.dumps(value)

    add(tree, ())
    return flat


def _recipe_without(tree: dict[str, Any], paths: Iterable[KeyPath]) -> Recipe | None:
    """Return the recipe without the values at `paths`, None if it is still invalid."""
    remaining = copy.deepcopy(tree)
    try:
        # Deep paths and late list items first, so that the other paths stay correct.
        for path in sorted(paths, key=_removal_order, reverse=True):
            node: Any = remaining
            for part in path[:-1]:
                node = node[part]
            del node[path[-1]]
        return Recipe.model_validate(remaining)
    except (KeyError, IndexError, TypeError, ValidationError):
        return None


def _leftover_hint(path: KeyPath, document: Document) -> str:
    """Return what to do if `--set` chose another alternative than the one that a key is for."""
    section = path[0]
    choice = CHOICE_KEYS.get(str(section), "")
    chosen_at = document.location_of((section, choice)).key
    is_leftover = len(path) == 2 and document.location_of(path).key != chosen_at
    if not choice or not is_leftover or not chosen_at.startswith("--set "):
        return ""
    value = format_value(document.tree[section][choice]).strip("'")
    return (
        f" Remove it with --set {dotted_path(path)}=, or replace the whole section with "
        f"--set '{section}={{{choice}: {value}}}'."
    )


def _is_in_doubt(key: KeyPath, paths: Iterable[KeyPath], document: Document) -> bool:
    """Return whether `key` has its default because one of the invalid `paths` was meant."""
    if any(key[: len(path)] == path for path in paths):
        return True
    is_misspelt = any(path[:-1] == key[:-1] for path in paths)
    return is_misspelt and key not in document.locations


def _removal_order(path: KeyPath) -> tuple[int, list[tuple[bool, str | int]]]:
    return len(path), [(isinstance(part, int), part) for part in path]


def _located(findings: Iterable[Finding], document: Document) -> list[RecipeProblem]:
    return [
        RecipeProblem(
            document.location_of(path).key,
            dotted_path(path),
            mask_secrets(escape_unprintable(message), document.secrets),
        )
        for path, message in findings
    ]


def _position(problem: RecipeProblem) -> tuple[int, int]:
    """Return line and column to sort by; problems without them come last."""
    match = re.search(r":(\d+):(\d+)$", problem.where)
    if not match or problem.where.startswith("--set "):
        return 10**9, 0
    return int(match[1]), int(match[2])
