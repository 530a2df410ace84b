"""Finds the values of a search space that no combination with the others makes a valid recipe."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.tuning.search_space import Dimension, SearchSpace, SpacePath

# Of a point: for each parameter that exists, where the space has its value, such as (choice, 0).
Point = Mapping[str, SpacePath]
SpaceValue = tuple[str, SpacePath]  # a parameter, and where it has a value

_MAX_POINTS = 128  # that are tried: all of a small space


@dataclass(frozen=True)
class Uncombinable:
    """The values for which no valid point was found.

    Attributes:
        problems: why a point with each value is not valid, empty if none was tried.
        is_certain: whether all points were tried.
        are_all: whether no point that was tried is valid.
    """

    problems: dict[SpaceValue, str]
    is_certain: bool
    are_all: bool


def find_uncombinable(space: SearchSpace, problem_of: Callable[[Point], str]) -> Uncombinable:
    """Return the choices and the ends of ranges that are in no valid point.

    Args:
        space: the parameters.
        problem_of: returns why a point is not a valid recipe, empty if it is one.
    """
    values = {d.path: [position for position, _ in d.extremes()] for d in space}
    problems = {(path, place): "" for path, places in values.items() for place in places}
    count = len(problems)
    is_small = math.prod(map(len, values.values())) <= _MAX_POINTS
    others = _all(space, values) if is_small else _random(space, values)
    for point in itertools.chain(_diagonal(space, values), others):
        new = [value for value in point.items() if value in problems]
        problem = problem_of(point) if new else ""
        for value in new:
            if problem:
                problems[value] = problems[value] or problem
            else:
                del problems[value]
    return Uncombinable(problems, is_small, are_all=len(problems) == count)


def _diagonal(space: SearchSpace, values: Mapping[str, Sequence[SpacePath]]) -> Iterator[Point]:
    """Yield points that have each value in few points: the first ones, the second ones, …"""
    for number in range(max(map(len, values.values()))):
        chosen = {path: places[number % len(places)] for path, places in values.items()}
        yield _point(space, chosen)


def _all(space: SearchSpace, values: Mapping[str, Sequence[SpacePath]]) -> Iterator[Point]:
    for places in itertools.product(*values.values()):
        yield _point(space, dict(zip(values, places, strict=True)))


def _random(space: SearchSpace, values: Mapping[str, Sequence[SpacePath]]) -> Iterator[Point]:
    generator = random.Random(0)
    for _ in range(_MAX_POINTS):
        yield _point(space, {path: generator.choice(places) for path, places in values.items()})


def _point(space: SearchSpace, chosen: Mapping[str, SpacePath]) -> Point:
    """Return the point with the chosen values of the parameters that exist in it."""
    point: dict[str, SpacePath] = {}
    for dimension in space:
        if _exists(dimension, point):
            point[dimension.path] = chosen[dimension.path]
    return point


def _exists(dimension: Dimension, point: Point) -> bool:
    return all(
        parent in point and point[parent][1] in indices for parent, indices in dimension.conditions
    )
