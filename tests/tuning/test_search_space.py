"""A search space: dimensions, conditions, and values from and to numbers."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.tuning.search_space import Dimension, decode, encode, exists, resolve
from pipeline.tuning.tuning_config import ParameterConfig


def parameters(**configs: dict[str, Any]) -> dict[str, ParameterConfig]:
    return {path: ParameterConfig(**config) for path, config in configs.items()}


def dimension(**config: Any) -> Dimension:
    return Dimension("path", ParameterConfig(**config), ())


def test_dimensions_come_after_those_that_they_depend_on() -> None:
    space, problems = resolve(
        parameters(
            momentum={"range": [0.0, 0.9], "when": {"optimizer.name": ["sgd", "rmsprop"]}},
            optimizer={"choice": [{"name": "adam"}, {"name": "sgd"}, {"name": "rmsprop"}]},
        )
    )
    assert not problems
    assert [one.path for one in space] == ["optimizer", "momentum"]
    assert space[1].conditions == (("optimizer", (1, 2)),)
    assert exists(space[1], {"optimizer": 2})
    assert not exists(space[1], {"optimizer": 0})
    assert not exists(space[1], {})


def test_problems_of_conditions_are_returned_by_their_path() -> None:
    _, problems = resolve(
        parameters(
            a={"choice": [1, 2], "when": {"b": 1}},
            b={"choice": [1, 2], "when": {"a": 1}},
            c={"range": [0, 1], "when": {"a": 3}},
            d={"range": [0, 1], "when": {"c": 1}},
        )
    )
    assert problems == {
        ("a", "when"): "the conditions form a cycle.",
        ("b", "when"): "the conditions form a cycle.",
        ("c", "when", "a"): "no value in the choice of a is 3.",
        ("d", "when", "c"): (
            "expected another parameter of the space that has a choice. Available: a, b."
        ),
    }


@pytest.mark.parametrize(
    ("config", "number", "value"),
    [
        ({"choice": ["adam", "sgd"]}, 1, "sgd"),
        ({"choice": [[16], [64]]}, 0, [16]),
        ({"range": [0.0, 0.5]}, 0.25, 0.25),
        ({"range": [8, 64], "step": 8}, 24, 24),
        ({"log": [1e-4, 1e-1]}, 1e-3, 0.001),
    ],
)
def test_a_number_stands_for_a_value_and_back(
    config: dict[str, Any], number: float, value: Any
) -> None:
    assert dimension(**config).value_of(number) == value
    assert dimension(**config).number_of(value) == number


def test_a_sampled_value_has_four_digits_and_stays_in_its_range() -> None:
    assert dimension(log=[1e-4, 1e-1]).value_of(0.00123456) == 0.001235
    assert dimension(range=[0.12354, 1.0]).value_of(0.12354) == 0.12354


@pytest.mark.parametrize(
    ("config", "value"),
    [
        ({"choice": [0, 1]}, True),
        ({"range": [0.0, 0.5]}, 0.6),
        ({"range": [0.0, 0.9], "step": 0.3}, 0.4),
        ({"range": [1, 3]}, 1.5),
        ({"range": [0, 1]}, True),
        ({"log": [1e-4, 1e-1]}, "adam"),
    ],
)
def test_a_value_outside_the_space_has_no_number(config: dict[str, Any], value: Any) -> None:
    assert dimension(**config).number_of(value) is None


def test_the_values_of_a_recipe_are_encoded_without_inactive_parameters() -> None:
    space, _ = resolve(
        parameters(
            name={"choice": ["adam", "sgd"]},
            momentum={"range": [0.0, 0.9], "when": {"name": "sgd"}},
        )
    )
    assert encode(space, {"name": "adam", "momentum": 7}) == {"name": 0}
    assert encode(space, {"name": "sgd", "momentum": 0.5}) == {"name": 1, "momentum": 0.5}
    assert encode(space, {"name": "sgd"}) is None


def test_whole_sections_are_decoded_before_their_values() -> None:
    space, _ = resolve(
        {
            "optimizer.learning_rate": ParameterConfig(log=(1e-4, 1e-1)),
            "optimizer": ParameterConfig(choice=({"name": "adam"}, {"name": "sgd"})),
        }
    )
    values = decode(space, {"optimizer.learning_rate": 0.01, "optimizer": 1})
    assert list(values.items()) == [
        ("optimizer", {"name": "sgd"}),
        ("optimizer.learning_rate", 0.01),
    ]
