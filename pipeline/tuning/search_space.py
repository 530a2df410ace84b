"""The space of a search: parameters by dotted path, from numbers to the values of a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.tuning.tuning_config import ParameterConfig

Values = dict[str, Any]
SpacePath = tuple[str | int, ...]

_DIGITS = 4  # of a sampled number, so that a recipe can be read and written


@dataclass(frozen=True)
class Dimension:
    """One parameter of a space.

    Attributes:
        path: the dotted path of the value it replaces.
        keys: what may stand there.
        conditions: the parameters it depends on, and the places in their choices at which it
            exists.
    """

    path: str
    keys: ParameterConfig
    conditions: tuple[tuple[str, tuple[int, ...]], ...]

    def extremes(self) -> Iterator[tuple[SpacePath, Any]]:
        """Yield each value of a choice or both ends of a range, with its place in the section."""
        if self.keys.choice is not None:
            for place, value in enumerate(self.keys.choice):
                yield ("choice", place), value
            return
        name, ends = ("range", self.keys.range) if self.keys.range else ("log", self.keys.log)
        for place, value in enumerate(ends or ()):
            yield (name, place), value

    def value_of(self, number: float) -> Any:
        """Return the value of the recipe that a tuner's number stands for."""
        if self.keys.choice is not None:
            return self.keys.choice[int(number)]
        low, high = self.keys.range or self.keys.log  # type: ignore[misc]
        if self.keys.is_whole:
            return int(number)
        return min(max(float(f"{number:.{_DIGITS}g}"), float(low)), float(high))

    def number_of(self, value: Any) -> float | int | None:
        """Return the tuner's number for a value of the recipe, None where it has none."""
        if self.keys.choice is not None:
            places = [i for i, known in enumerate(self.keys.choice) if _same(known, value)]
            return places[0] if places else None
        low, high = self.keys.range or self.keys.log  # type: ignore[misc]
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if not low <= value <= high or (self.keys.is_whole and value != int(value)):
            return None
        if self.keys.step is not None:
            steps = (value - low) / self.keys.step
            if abs(steps - round(steps)) > 1e-9:
                return None
        return int(value) if self.keys.is_whole else float(value)


SearchSpace = tuple[Dimension, ...]


def resolve(parameters: Mapping[str, ParameterConfig]) -> tuple[SearchSpace, dict[SpacePath, str]]:
    """Return the dimensions of a space, each after those that it depends on.

    Returns:
        The dimensions; and what is wrong with conditions, by the place in the space.
    """
    problems: dict[SpacePath, str] = {}
    conditions: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for path, keys in parameters.items():
        conditions[path] = []
        for asked, wanted in (keys.when or {}).items():
            found, problem = _condition(parameters, path, asked, wanted)
            if found:
                conditions[path].append(found)
            else:
                problems[path, "when", asked] = problem
    ordered: list[str] = []
    while len(ordered) < len(parameters):
        ready = [
            path
            for path in parameters
            if path not in ordered and all(parent in ordered for parent, _ in conditions[path])
        ]
        if not ready:
            for path in parameters:
                if path not in ordered:
                    problems.setdefault((path, "when"), "the conditions go round in a circle.")
            break
        ordered.extend(ready)
    space = tuple(Dimension(path, parameters[path], tuple(conditions[path])) for path in ordered)
    return space, problems


def decode(space: SearchSpace, numbers: Mapping[str, float]) -> Values:
    """Return the values of a recipe that a tuner's numbers stand for, whole sections first."""
    found = {d.path: d.value_of(numbers[d.path]) for d in space if d.path in numbers}
    return dict(sorted(found.items(), key=lambda item: item[0].count(".")))


def encode(space: SearchSpace, current: Mapping[str, Any]) -> dict[str, float | int] | None:
    """Return the tuner's numbers for the values that a recipe has, None where one has none.

    Args:
        space: the dimensions.
        current: the value of the recipe at each path.
    """
    numbers: dict[str, float | int] = {}
    for dimension in space:
        if not exists(dimension, numbers):
            continue
        number = dimension.number_of(current.get(dimension.path))
        if number is None:
            return None
        numbers[dimension.path] = number
    return numbers


def exists(dimension: Dimension, numbers: Mapping[str, float]) -> bool:
    """Return whether a parameter exists beside the numbers of those that it depends on."""
    return all(numbers.get(parent) in places for parent, places in dimension.conditions)


def _condition(
    parameters: Mapping[str, ParameterConfig], path: str, asked: str, wanted: Any
) -> tuple[tuple[str, tuple[int, ...]] | None, str]:
    """Return the parent and the places in its choice at which `asked` is `wanted`."""
    parent = next(
        (known for known in parameters if asked == known or asked.startswith(f"{known}.")), None
    )
    if parent is None or parent == path or parameters[parent].choice is None:
        others = [name for name, keys in parameters.items() if keys.choice and name != path]
        available = f" Available: {', '.join(others)}." if others else ""
        return None, f"expected another parameter of the space that has a choice.{available}"
    accepted = wanted if isinstance(wanted, list | tuple) else [wanted]
    below = asked[len(parent) + 1 :].split(".") if asked != parent else []
    places = tuple(
        place
        for place, value in enumerate(parameters[parent].choice or ())
        if any(_same(_at(value, below), one) for one in accepted)
    )
    if not places:
        return None, f"no value in the choice of {parent} is {wanted!r}."
    return (parent, places), ""


def _at(value: Any, path: list[str]) -> Any:
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, bool) != isinstance(second, bool):
        return False
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return list(first) == list(second)
    if isinstance(first, dict) and isinstance(second, dict):  # a section with its defaults
        return all(key in second and _same(value, second[key]) for key, value in first.items())
    return bool(first == second)
