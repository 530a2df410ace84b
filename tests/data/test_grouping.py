"""What tells which files belong in the same split."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.data.grouping import GroupByConfig, TableGroupByConfig, number_groups
from pipeline.errors import DataError

KEYS = ["p1/left/1.png", "p1/right/2.png", "p2/left/1.png"]


@pytest.mark.parametrize(
    ("keys", "groups"),
    [
        ({"level": 1}, ["p1", "p1", "p2"]),
        ({"level": 2}, ["left", "right", "left"]),
        ({"pattern": r"^(p\d)"}, ["p1", "p1", "p2"]),
        ({"pattern": r"(\d)\.png$"}, ["1", "2", "1"]),
    ],
)
def test_groups_are_found_in_paths(keys: dict[str, Any], groups: list[str]) -> None:
    assert GroupByConfig(**keys).group_names(KEYS) == groups


@pytest.mark.parametrize(
    ("keys", "wording"),
    [
        ({}, "one key of: level, pattern"),
        ({"level": 1, "pattern": "(a)"}, "one key of: level, pattern"),
        ({"pattern": "p1"}, r"a regular expression with one group, as in (patient\d+)"),
        ({"pattern": "(a)(b)"}, r"a regular expression with one group, as in (patient\d+)"),
        (
            {"pattern": "(a"},
            "a regular expression (missing ), unterminated subpattern at position 0)",
        ),
    ],
)
def test_anything_but_one_good_key_is_an_error(keys: dict[str, Any], wording: str) -> None:
    with pytest.raises(ValidationError) as caught:
        GroupByConfig(**keys)
    assert caught.value.errors()[0]["ctx"]["wording"] == wording


def test_a_table_has_a_column_too() -> None:
    assert TableGroupByConfig(column="patient").column == "patient"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"pattern": "p2(/)"},
            "data.group_by: the pattern p2(/) finds no group in 2 of 3 files: p1/left/1.png, "
            "p1/right/2.png.",
        ),
        (
            {"level": 3},
            "data.group_by: below the directory of their class, no directory at level 3 is above "
            "3 of 3 files: p1/left/1.png, p1/right/2.png, p2/left/1.png.",
        ),
    ],
)
def test_files_without_a_group_are_named(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        GroupByConfig(**keys).group_names(KEYS)
    assert str(caught.value) == message


def test_a_file_that_is_no_image_needs_no_group() -> None:
    groups = GroupByConfig(level=1).group_names(["p1/1.png", "about.txt"])
    assert groups == ["p1", "about.txt"]


def test_equal_names_have_equal_numbers() -> None:
    assert number_groups(["b", "a", "b"]).tolist() == [0, 1, 0]
