"""Checks of a search space: every value that a trial may use must make a valid recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.config import KeyPath
from pipeline.errors import RecipeError, RecipeProblem, escape_unprintable
from pipeline.recipe.overrides import apply_overrides
from pipeline.recipe.validation_messages import location_of
from pipeline.recipe.yaml_reader import Document, dotted_path
from pipeline.tuning import search_space as spaces
from pipeline.tuning.search_space import Dimension, SearchSpace, SpacePath, Values
from pipeline.tuning.tuning_config import TuningConfig

_FIXED = ("name", "description", "tracking", "tuning")  # not hyperparameters
# The keys of `data` that do not change which images are in the validation split.
_SAME_IMAGES = ("image_size", "batch_size", "augmentation", "resize", "max_bad", "leakage")
_SPACE: KeyPath = ("tuning", "space")


def check_space(
    document: Document, tuning: TuningConfig, check: Callable[[Document], Any]
) -> list[RecipeProblem]:
    """Return the errors of a search space: in its paths, conditions and values.

    Args:
        document: the recipe, valid but for its search space.
        tuning: its section `tuning`.
        check: raises RecipeError if a document is not a valid recipe.
    """
    problems = []
    for path in tuning.space:
        if path.split(".")[0] in _FIXED or not all(path.split(".")):
            message = "expected a path of the recipe outside name, description, tracking and tuning"
            problems.append(
                _problem(document, (path,), f"{message}. Received '{escape_unprintable(path)}'.")
            )
    if tuning.tuner == "hyperband" and "training.epochs" in tuning.space:
        message = "hyperband sets the epochs itself. Remove this key, or choose another tuner."
        problems.append(_problem(document, ("training.epochs",), message))
    space, invalid = spaces.resolve(tuning.space)
    problems += [_problem(document, path, message) for path, message in invalid.items()]
    if not problems:
        for dimension in space:
            problems += _invalid_values(document, dimension, space, check)
    return problems


def space_warnings(document: Document, tuning: TuningConfig) -> list[RecipeProblem]:
    """Return warnings for parameters that change which images the trials are evaluated on."""
    message = "trials with different values are evaluated on different images: not comparable."
    return [
        _problem(document, (path,), message)
        for path in tuning.space
        if path.split(".")[0] == "data" and not path.startswith(_SAME_IMAGES, len("data."))
    ]


def apply_trial_values(document: Document, values: Values) -> Document:
    """Return the document of a trial: the recipe with the trial's values and without `tuning`.

    Args:
        document: the recipe of the search.
        values: by dotted path, sections before their own keys.

    Raises:
        RecipeError: if a path does not exist.
    """
    space_paths: dict[str, SpacePath] = {path: (path,) for path in values}
    return _without_tuning(_with_values(document, values, space_paths))


def _with_values(
    document: Document, values: Values, space_paths: Mapping[str, SpacePath]
) -> Document:
    """Return a document with other values, located where the search space has them."""
    for path, value in values.items():
        keys = _keys(path)
        source = (*_SPACE, *space_paths[path])
        location = _location(document, source)
        prefixes = {keys[:length]: location for length in range(1, len(keys) + 1)}
        origin = Document(
            {},
            {**prefixes, **_moved(document.keys, source, keys)},
            {**prefixes, **_moved(document.values, source, keys)},
            document.secrets,
        )
        document = apply_overrides(document, {keys: (value, origin)})
    return document


def _moved(
    locations: Mapping[KeyPath, str], source: SpacePath, target: KeyPath
) -> dict[KeyPath, str]:
    """Return the locations below the path `source`, with the path `target` instead."""
    return {
        (*target, *path[len(source) :]): location
        for path, location in locations.items()
        if path[: len(source)] == source and len(path) > len(source)
    }


def _invalid_values(
    document: Document, dimension: Dimension, space: SearchSpace, check: Callable[[Document], Any]
) -> list[RecipeProblem]:
    """Return the errors of recipes with the extreme values of one parameter."""
    parents, parent_paths = _parent_values(dimension, {other.path: other for other in space})
    problems: dict[str, RecipeProblem] = {}
    for position, value in dimension.extremes():
        values = {**parents, dimension.path: value}
        source = (dimension.path, *position)
        space_paths = {**parent_paths, dimension.path: source}
        try:
            check(_without_tuning(_with_values(document, values, space_paths)))
        except RecipeError as error:
            for problem in error.problems:
                is_inside = problem.path.startswith(dimension.path)
                where = problem.where if is_inside else _location(document, (*_SPACE, *source))
                prefix = "" if problem.path == dimension.path else f"{problem.path}: "
                message = f"{prefix}{problem.message}"
                path = escape_unprintable(f"tuning.space.{dimension.path}")
                problems.setdefault(message, RecipeProblem(where, path, message))
    return list(problems.values())


def _parent_values(
    dimension: Dimension, dimensions: Mapping[str, Dimension]
) -> tuple[Values, dict[str, SpacePath]]:
    """Return values of the parameters in the conditions of another, so that they are met."""
    values: Values = {}
    space_paths: dict[str, SpacePath] = {}
    for parent, indices in dimension.conditions:
        ancestors, ancestor_paths = _parent_values(dimensions[parent], dimensions)
        values |= ancestors
        space_paths |= ancestor_paths
        choice = dimensions[parent].config.choice or ()
        values[parent] = choice[indices[0]]
        space_paths[parent] = (parent, "choice", indices[0])
    return values, space_paths


def _without_tuning(document: Document) -> Document:
    tree = {key: value for key, value in document.tree.items() if key != "tuning"}
    return Document(tree, document.keys, document.values, document.secrets)


def _keys(path: str) -> KeyPath:
    return tuple(path.split("."))


def _problem(document: Document, space_path: SpacePath, message: str) -> RecipeProblem:
    path = (*_SPACE, *space_path)
    return RecipeProblem(_location(document, path), dotted_path(path), message)


def _location(document: Document, path: KeyPath) -> str:
    """Return the location of a value, or of the nearest key above it."""
    return document.values.get(path) or location_of(document, path)
