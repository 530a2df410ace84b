"""Whether a plane divides two classes."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.linear_separability import is_linearly_separable

CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)


@pytest.mark.parametrize(
    ("labels", "separable"),
    [([0, 0, 0, 1], True), ([1, 1, 1, 0], True), ([0, 1, 1, 0], False), ([1, 0, 0, 1], False)],
)
def test_a_line_divides_all_truth_tables_but_xor(labels: list[int], separable: bool) -> None:
    is_second = np.array(labels) == 1
    assert is_linearly_separable(CORNERS, is_second) is separable
    # Neither the unit of a column nor where it begins changes that.
    assert is_linearly_separable(CORNERS * [1e6, 1e-3] + 1e3, is_second) is separable


def test_points_of_one_class_are_divided_from_nothing() -> None:
    assert is_linearly_separable(CORNERS, np.ones(4, bool)) is True


def test_a_narrow_gap_is_enough() -> None:
    x = np.concatenate([np.linspace(0, 1, 500), np.linspace(1.001, 2, 500)])[:, None]
    assert is_linearly_separable(x, np.arange(1000) >= 500) is True
    assert is_linearly_separable(x, (np.arange(1000) >= 500) ^ (np.arange(1000) == 3)) is False


def test_too_many_numbers_are_not_decided() -> None:
    assert is_linearly_separable(np.zeros((2001, 1000), np.float32), np.ones(2001, bool)) is None
