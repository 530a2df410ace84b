"""The space of a search against the grammar: every value that a trial may bring is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.errors import RecipeError, RecipeProblem, escape_unprintable
from pipeline.recipe.overrides import apply_overrides
from pipeline.recipe.yaml_reader import Document, KeyPath
from pipeline.tuning import search_space as spaces
from pipeline.tuning.search_space import Dimension, SearchSpace, SpacePath, Values
from pipeline.tuning.tuning_config import TuningConfig

# What a trial is called, where it is logged and how it is searched for is not up to the trial.
_FIXED = ("name", "description", "tracking", "tuning")
# Trials that differ in these are judged on different images.
_IMAGES = (
    "data.source",
    "data.path",
    "data.download",
    "data.validation",
    "data.test",
    "data.split_seed",
)
_SPACE: KeyPath = ("tuning", "space")


def check_space(
    document: Document, tuning: TuningConfig, check: Callable[[Document], Any]
) -> list[RecipeProblem]:
    """Return what is wrong with a space: paths, conditions, and values that a recipe refuses.

    Args:
        document: the recipe that the space belongs to, which is valid.
        tuning: its section.
        check: raises RecipeError if a document is no recipe.
    """
    problems = []
    for path in tuning.space:
        if path.split(".")[0] in _FIXED or not all(path.split(".")):
            message = "expected a path of the recipe outside name, description, tracking and tuning"
            problems.append(
                _problem(document, (path,), f"{message}. Received '{escape_unprintable(path)}'.")
            )
    if tuning.tuner == "hyperband" and "training.epochs" in tuning.space:
        message = "hyperband chooses the epochs itself. Remove this key, or choose another tuner."
        problems.append(_problem(document, ("training.epochs",), message))
    space, wrong = spaces.resolve(tuning.space)
    problems += [_problem(document, place, message) for place, message in wrong.items()]
    if not problems:
        for dimension in space:
            problems += _problems_of_values(document, dimension, space, check)
    return problems


def space_warnings(document: Document, tuning: TuningConfig) -> list[RecipeProblem]:
    """Return what is probably not meant."""
    message = "trials that differ in this are judged on different images, and cannot be compared."
    return [
        RecipeProblem(**{**vars(_problem(document, (path,), message)), "is_warning": True})
        for path in tuning.space
        if path in _IMAGES or path == "data"
    ]


def apply_trial_values(document: Document, values: Values) -> Document:
    """Return the document of a trial: the recipe with the values in their places, no `tuning`.

    Args:
        document: the recipe that the search belongs to.
        values: by dotted path, whole sections before what is in them.

    Raises:
        RecipeError: if a path leads nowhere.
    """
    places = {path: (path,) for path in values}
    return _without_tuning(_substituted(document, values, places))


def _substituted(document: Document, values: Values, places: Mapping[str, SpacePath]) -> Document:
    """Put values in their places; each is known to stand where the space has it."""
    for path, value in values.items():
        keys = _keys(path)
        at = (*_SPACE, *places[path])
        where = _place(document, at)
        prefixes = {keys[:length]: where for length in range(1, len(keys) + 1)}
        origin = Document(
            {},
            {**prefixes, **_below(document.keys, at, keys)},
            {**prefixes, **_below(document.values, at, keys)},
            document.secrets,
        )
        document = apply_overrides(document, {keys: (value, origin)})
    return document


def _below(places: Mapping[KeyPath, str], at: SpacePath, keys: KeyPath) -> dict[KeyPath, str]:
    return {
        (*keys, *known[len(at) :]): where
        for known, where in places.items()
        if known[: len(at)] == at and len(known) > len(at)
    }


def _problems_of_values(
    document: Document, dimension: Dimension, space: SearchSpace, check: Callable[[Document], Any]
) -> list[RecipeProblem]:
    """Return why a recipe would refuse values of one parameter, those it depends on in place."""
    values, places = _of_parents(dimension, {other.path: other for other in space})
    problems: list[RecipeProblem] = []
    for place, value in dimension.extremes():
        here = (dimension.path, *place)
        try:
            check(
                _without_tuning(
                    _substituted(
                        document,
                        {**values, dimension.path: value},
                        {**places, dimension.path: here},
                    )
                )
            )
        except RecipeError as error:
            for problem in error.problems:
                inside = problem.path.startswith(dimension.path)
                where = problem.where if inside else _place(document, (*_SPACE, *here))
                about = "" if problem.path == dimension.path else f"{problem.path}: "
                path = f"tuning.space.{dimension.path}"
                found = RecipeProblem(where, escape_unprintable(path), f"{about}{problem.message}")
                if found.message not in [known.message for known in problems]:
                    problems.append(found)
    return problems


def _of_parents(
    dimension: Dimension, dimensions: Mapping[str, Dimension]
) -> tuple[Values, dict[str, SpacePath]]:
    """Return values of the parameters that another depends on, such that it exists."""
    values: Values = {}
    places: dict[str, SpacePath] = {}
    for parent, chosen in dimension.conditions:
        above, above_places = _of_parents(dimensions[parent], dimensions)
        values |= above
        places |= above_places
        choice = dimensions[parent].keys.choice or ()
        values[parent] = choice[chosen[0]]
        places[parent] = (parent, "choice", chosen[0])
    return values, places


def _without_tuning(document: Document) -> Document:
    tree = {key: value for key, value in document.tree.items() if key != "tuning"}
    return Document(tree, document.keys, document.values, document.secrets)


def _keys(path: str) -> KeyPath:
    return tuple(path.split("."))


def _problem(document: Document, place: SpacePath, message: str) -> RecipeProblem:
    path = ".".join(map(str, (*_SPACE, *place)))
    return RecipeProblem(_place(document, (*_SPACE, *place)), escape_unprintable(path), message)


def _place(document: Document, path: KeyPath) -> str:
    """Return where a value stands; where it has none of its own, where what holds it stands."""
    for length in range(len(path), 0, -1):
        for places in (document.values, document.keys) if length == len(path) else (document.keys,):
            if path[:length] in places:
                return places[path[:length]]
    return ""
