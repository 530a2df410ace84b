"""The space of a search: parameters by dotted path, from numbers to the values of a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.tuning.tuning_config import ParameterConfig

Values = dict[str, Any]  # of a recipe, by dotted path
Numbers = dict[str, float | int]  # of an oracle, by dotted path; of a choice the index
SpacePath = tuple[str | int, ...]
Condition = tuple[str, tuple[int, ...]]  # a parameter and the indices of its choice

_SIGNIFICANT_DIGITS = 4  # of a sampled number, for recipes that are easy to read


@dataclass(frozen=True)
class Dimension:
    """One parameter of a space.

    Attributes:
        path: the dotted path of the value it replaces.
        config: the values it may have.
        conditions: the parameters it depends on, each with the indices of its choice for which
            this parameter exists.
    """

    path: str
    config: ParameterConfig
    conditions: tuple[Condition, ...]

    def extremes(self) -> Iterator[tuple[SpacePath, Any]]:
        """Yield each value of a choice or both ends of a range, with its path in the section."""
        for key in ("choice", "range", "log"):
            for index, value in enumerate(getattr(self.config, key) or ()):
                yield (key, index), value

    def value_of(self, number: float) -> Any:
        """Return the recipe's value for an oracle's number."""
        if self.config.choice is not None:
            return self.config.choice[int(number)]
        low, high = self.config.range or self.config.log  # type: ignore[misc]
        if self.config.is_whole:
            return int(number)
        return min(max(float(f"{number:.{_SIGNIFICANT_DIGITS}g}"), float(low)), float(high))

    def number_of(self, value: Any) -> float | int | None:
        """Return the oracle's number for a recipe's value, None where the space lacks the value."""
        if self.config.choice is not None:
            choice = enumerate(self.config.choice)
            return next((index for index, known in choice if _same(known, value)), None)
        low, high = self.config.range or self.config.log  # type: ignore[misc]
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if not low <= value <= high or (self.config.is_whole and value != int(value)):
            return None
        if self.config.step is not None:
            steps = (value - low) / self.config.step
            if abs(steps - round(steps)) > 1e-9:
                return None
        return int(value) if self.config.is_whole else float(value)


SearchSpace = tuple[Dimension, ...]


def resolve(parameters: Mapping[str, ParameterConfig]) -> tuple[SearchSpace, dict[SpacePath, str]]:
    """Return the dimensions of a space, each after those that it depends on.

    Returns:
        The dimensions; and the problems of their conditions, by path in the space.
    """
    problems: dict[SpacePath, str] = {}
    conditions: dict[str, list[Condition]] = {path: [] for path in parameters}
    for path, config in parameters.items():
        for key, expected in (config.when or {}).items():
            try:
                conditions[path].append(_condition(parameters, path, key, expected))
            except ValueError as error:
                problems[path, "when", key] = str(error)
    ordered: list[str] = []
    waiting = list(parameters)
    while ready := [p for p in waiting if all(parent in ordered for parent, _ in conditions[p])]:
        ordered += ready
        waiting = [path for path in waiting if path not in ready]
    problems |= {(path, "when"): "the conditions form a cycle." for path in waiting}
    space = tuple(Dimension(path, parameters[path], tuple(conditions[path])) for path in ordered)
    return space, problems


def decode(space: SearchSpace, numbers: Mapping[str, float]) -> Values:
    """Return the values of a recipe for an oracle's numbers, whole sections first."""
    values = {d.path: d.value_of(numbers[d.path]) for d in space if d.path in numbers}
    return dict(sorted(values.items(), key=lambda item: item[0].count(".")))


def encode(space: SearchSpace, current: Mapping[str, Any]) -> Numbers | None:
    """Return an oracle's numbers for the values of a recipe, None where the space lacks one.

    Args:
        space: the dimensions.
        current: the value of the recipe at each path.
    """
    numbers: Numbers = {}
    for dimension in space:
        if not exists(dimension, numbers):
            continue
        number = dimension.number_of(current.get(dimension.path))
        if number is None:
            return None
        numbers[dimension.path] = number
    return numbers


def exists(dimension: Dimension, numbers: Mapping[str, float]) -> bool:
    """Return whether the numbers of its parents meet the conditions of a parameter."""
    return all(numbers.get(parent) in indices for parent, indices in dimension.conditions)


def _condition(
    parameters: Mapping[str, ParameterConfig], path: str, key: str, expected: Any
) -> Condition:
    """Return the parent and the indices of its choice at which `key` is `expected`.

    Raises:
        ValueError: if there are none; its message is for the user.
    """
    parent = next((name for name in parameters if key == name or key.startswith(f"{name}.")), None)
    if parent is None or parent == path or parameters[parent].choice is None:
        others = [name for name, config in parameters.items() if config.choice and name != path]
        available = f" Available: {', '.join(others)}." if others else ""
        raise ValueError(f"expected another parameter of the space that has a choice.{available}")
    accepted = expected if isinstance(expected, list) else [expected]
    below = key.split(".")[parent.count(".") + 1 :]
    indices = tuple(
        index
        for index, value in enumerate(parameters[parent].choice or ())
        if any(_same(_at(value, below), one) for one in accepted)
    )
    if not indices:
        raise ValueError(f"no value in the choice of {parent} is {expected!r}.")
    return parent, indices


def _at(value: Any, path: list[str]) -> Any:
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, bool) != isinstance(second, bool):
        return False
    if isinstance(first, dict) and isinstance(second, dict):  # a section with its defaults
        return all(key in second and _same(value, second[key]) for key, value in first.items())
    return bool(first == second)
