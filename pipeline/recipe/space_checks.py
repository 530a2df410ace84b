"""Checks of a search space: every value that a trial may use must make a valid recipe.

A value that is valid with some values of the other parameters is no error: trials with the others
are not scored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pipeline.config import KeyPath
from pipeline.errors import RecipeError, RecipeProblem, escape_unprintable
from pipeline.recipe.cross_checks import metric_problem_of
from pipeline.recipe.grammar import CHOICE_KEYS, Recipe
from pipeline.recipe.overrides import apply_overrides
from pipeline.recipe.space_combinations import (
    Point,
    SpaceValue,
    Uncombinable,
    find_uncombinable,
)
from pipeline.recipe.yaml_reader import Document, Location, dotted_path
from pipeline.tuning import search_space as spaces
from pipeline.tuning.hyperband_rounds import fewest_epochs
from pipeline.tuning.search_space import Dimension, SearchSpace, SpacePath, Values
from pipeline.tuning.tuning_config import TuningConfig

_FIXED = ("name", "description", "tracking", "tuning")  # not hyperparameters
# The keys of `data` that do not change which images are in the validation split.
_SAME_IMAGES = (
    "image_size",
    "batch_size",
    "sampling",
    "augmentation",
    "resize",
    "channels",
    "range",
    "max_bad",
    "leakage",
)
_SPACE: KeyPath = ("tuning", "space")

Check = Callable[[Document], tuple[Recipe, tuple[RecipeProblem, ...]]]
_LocatedValue = tuple[SpacePath, Any]  # a value and where the space has it


def check_space(
    document: Document, tuning: TuningConfig, check: Check
) -> tuple[list[RecipeProblem], list[RecipeProblem]]:
    """Return the errors and the warnings of a search space: of its paths, conditions and values.

    Args:
        document: the recipe, valid but for its search space.
        tuning: its section `tuning`.
        check: returns the recipe of a document and its warnings, or raises RecipeError.
    """
    messages: dict[SpacePath, str] = {}
    for path in tuning.space:
        if path.split(".")[0] in _FIXED or not all(path.split(".")):
            message = "expected a path of the recipe outside name, description, tracking and tuning"
            messages[path,] = f"{message}. Received '{escape_unprintable(path)}'."
    if tuning.tuner == "hyperband" and "training.epochs" in tuning.space:
        message = "hyperband sets the epochs itself. Remove this key, or choose another tuner."
        messages["training.epochs",] = message
    space, invalid = spaces.resolve(tuning.space)
    messages |= invalid
    problems = [_problem(document, path, message) for path, message in messages.items()]
    warnings = _incomparable(document, tuning)
    if problems:
        return problems, warnings
    if tuning.tuner == "hyperband":
        check = _with_short_trials(check)
    alone: dict[SpaceValue, list[RecipeProblem]] = {}
    for dimension in space:
        errors, unused = _checked_values(document, dimension, space, tuning.objective, check)
        alone |= errors
        warnings += unused
    combined = find_uncombinable(
        space, lambda point: _problem_of(point, document, space, tuning.objective, check)
    )
    first: dict[tuple[str, str], RecipeProblem] = {}  # several values may have the same problem
    for value, found in alone.items():
        for error in found if value in combined.problems else ():
            first.setdefault((error.path, error.message), error)
    if first:
        return list(first.values()), warnings
    unusable = _uncombinable_values(document, combined)
    if combined.is_certain or combined.are_all:
        return unusable, warnings
    return [], warnings + unusable


def _with_short_trials(check: Check) -> Check:
    """Return a check that a recipe is also valid with the fewest epochs of hyperband."""

    def checked(document: Document) -> tuple[Recipe, tuple[RecipeProblem, ...]]:
        recipe, warnings = check(document)
        epochs = fewest_epochs(recipe.training.epochs)
        where = document.location_of(("training", "epochs"))
        short: dict[tuple[str, ...], Document] = {
            ("training", "epochs"): Document(epochs, {(): where})
        }
        try:
            check(apply_overrides(document, short))
        except RecipeError as error:
            reason = f"Hyperband trains some trials for {epochs} epochs only."
            raise RecipeError(
                [replace(one, message=f"{one.message} {reason}") for one in error.problems]
            ) from None
        return recipe, warnings

    return checked


def _incomparable(document: Document, tuning: TuningConfig) -> list[RecipeProblem]:
    """Return warnings for parameters that change which images the trials are evaluated on."""
    message = "trials with different values are evaluated on different data: not comparable."
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
    return _trial_document(document, {path: ((path,), value) for path, value in values.items()})


def _trial_document(document: Document, values: Mapping[str, _LocatedValue]) -> Document:
    """Return a recipe without `tuning` and with values located where the search space has them."""
    tree = {key: value for key, value in document.tree.items() if key != "tuning"}
    overrides = {}
    for path, (space_path, value) in values.items():
        source = (*_SPACE, *space_path)
        where = document.location_of(source).value
        inner = {
            known[len(source) :]: location
            for known, location in document.locations.items()
            if known[: len(source)] == source
        }
        overrides[tuple(path.split("."))] = Document(value, {**inner, (): Location(where, where)})
    return apply_overrides(replace(document, tree=tree), overrides)


def _checked_values(
    document: Document, dimension: Dimension, space: SearchSpace, objective: str, check: Check
) -> tuple[dict[SpaceValue, list[RecipeProblem]], list[RecipeProblem]]:
    """Return the errors and warnings of recipes with the extreme values of one parameter."""
    parents = _parent_values(dimension, {other.path: other for other in space})
    shown_path = escape_unprintable(f"tuning.space.{dimension.path}")
    errors_of: dict[SpaceValue, list[RecipeProblem]] = {}
    warnings: dict[str, RecipeProblem] = {}
    for position, value in dimension.extremes():
        space_path = (dimension.path, *position)
        source = document.location_of((*_SPACE, *space_path)).value
        errors: dict[str, RecipeProblem] = {}

        def report(
            problem: RecipeProblem, found: dict[str, RecipeProblem], source: str = source
        ) -> None:
            prefix = "" if problem.path == dimension.path else f"{problem.path}: "
            message = f"{prefix}{problem.message}{_leftover_hint(problem.path, dimension.path)}"
            where = problem.where if _is_inside(problem.path, dimension.path) else source
            found.setdefault(message, RecipeProblem(where, shown_path, message))

        try:
            trial = _trial_document(document, {**parents, dimension.path: (space_path, value)})
            recipe, unused = check(trial)
        except RecipeError as error:
            for problem in error.problems:
                report(problem, errors)
            errors_of[dimension.path, position] = list(errors.values())
            continue
        missing = metric_problem_of(recipe, objective)
        if missing:
            report(RecipeProblem(source, "tuning.objective", missing), errors)
            errors_of[dimension.path, position] = list(errors.values())
        for warning in unused:
            if _is_inside(warning.path, dimension.path):
                report(warning, warnings)
    return errors_of, list(warnings.values())


def _problem_of(
    point: Point, document: Document, space: SearchSpace, objective: str, check: Check
) -> str:
    """Return why the recipe with the values of a point is not valid, empty if it is."""
    values: dict[str, _LocatedValue] = {}
    for dimension in sorted(space, key=lambda dimension: dimension.path.count(".")):
        if dimension.path in point:
            position = point[dimension.path]
            value = dict(dimension.extremes())[position]
            values[dimension.path] = (dimension.path, *position), value
    try:
        recipe, _ = check(_trial_document(document, values))
    except RecipeError as error:
        first = error.problems[0]
        return f"{first.path}: {first.message}"
    missing = metric_problem_of(recipe, objective)
    return f"tuning.objective: {missing}" if missing else ""


def _uncombinable_values(document: Document, found: Uncombinable) -> list[RecipeProblem]:
    """Return a problem for each value that no point makes a valid recipe with."""
    if found.are_all:
        tried = "no combination of values" if found.is_certain else "no combination that was tried"
        example = next(filter(None, found.problems.values()), "")
        return [_problem(document, (), f"{tried} is a valid recipe. For example, {example}")]
    values = "no values" if found.is_certain else "no values that were tried"
    start = f"{values} of the other parameters make a valid recipe with this one. For example,"
    return [
        RecipeProblem(
            document.location_of((*_SPACE, path, *position)).value,
            f"tuning.space.{path}",
            f"{start} {example}",
        )
        for (path, position), example in found.problems.items()
        if example
    ]


def _leftover_hint(path: str, varied: str) -> str:
    """Return what to do if a trial has another alternative than the one that a key is for."""
    section, _, key = varied.partition(".")
    is_leftover = CHOICE_KEYS.get(section) == key and path != varied and _is_inside(path, section)
    return f" To vary {varied}, list whole sections in tuning.space.{section}." * is_leftover


def _is_inside(path: str, section: str) -> bool:
    return f"{path}.".startswith(f"{section}.")


def _parent_values(
    dimension: Dimension, dimensions: Mapping[str, Dimension]
) -> dict[str, _LocatedValue]:
    """Return values of the parameters in the conditions of another, so that they are met."""
    values: dict[str, _LocatedValue] = {}
    for parent, indices in dimension.conditions:
        values |= _parent_values(dimensions[parent], dimensions)
        choice = dimensions[parent].config.choice or ()
        values[parent] = (parent, "choice", indices[0]), choice[indices[0]]
    return values


def _problem(document: Document, space_path: SpacePath, message: str) -> RecipeProblem:
    path = (*_SPACE, *space_path)
    return RecipeProblem(document.location_of(path).value, dotted_path(path), message)
