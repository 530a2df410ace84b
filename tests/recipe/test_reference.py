from __future__ import annotations

import re

import pytest

from pipeline.data.sources import SOURCES
from pipeline.models.architectures import ARCHITECTURES
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.reference import reference
from pipeline.recipe.validation_messages import key_paths
from pipeline.training.optimizers import OPTIMIZERS


def test_every_key_of_the_grammar_has_a_row() -> None:
    paths = re.findall(r"^(?:\| |### )`([^`:]+)`(?: \||$)", reference(), re.MULTILINE)
    expected = {path for path, _ in key_paths(Recipe)}
    again = r"^### `([^`]+)`\n\nThe same keys as in `([^`]+)`\.$"
    for found, first in re.findall(again, reference(), re.MULTILINE):
        repeated = found.replace(".*", "")  # of each item of a list
        inside = {path for path in expected if path.startswith(f"{repeated}.")}
        assert {path.replace(repeated, first, 1) for path in inside} <= expected
        expected -= inside
    assert {path.replace(".*", "") for path in paths} == expected


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("data.source", SOURCES),
        ("model.architecture", ARCHITECTURES),
        ("optimizer.name", OPTIMIZERS),
    ],
)
def test_every_alternative_has_a_section(key: str, names: dict[str, object]) -> None:
    assert re.findall(rf"^### `{key}: (\w+)`$", reference(), re.MULTILINE) == list(names)


def test_a_row_has_values_default_and_meaning() -> None:
    lines = reference().splitlines()
    for line in (
        "| `data.source` | `digits`, `generated`, `image_folder`, `mnist`, `table` | required | "
        "The alternative. Each has its own keys, see below. |",
        "| `optimizer.name` | "
        + ", ".join(f"`{name}`" for name in OPTIMIZERS)
        + " | `adam` | The alternative. Each has its own keys, see below. |",
        "| `model.hidden` | a list; each item an integer, 1 or more | `[128]` | Units of each "
        "hidden layer. |",
        "| `training.fine_tune.from` | an integer, 1 or more or a non-empty string | required | "
        "First layer to train: its name, a prefix of it, or the number of layers. |",
        "| `tuning.space.*.log` | two numbers above 0, [low, high] or `null` | `null` | "
        "[low, high], log-uniform; integers if both are. |",
    ):
        assert line in lines


def test_alternatives_only_list_their_own_keys() -> None:
    section = reference().split("### `optimizer.name: adamw`")[1].split("### ")[0]
    assert re.findall(r"`optimizer\.(\w+)`", section) == [
        "learning_rate",
        "weight_decay",
        "beta_1",
        "beta_2",
        "epsilon",
        "amsgrad",
    ]
