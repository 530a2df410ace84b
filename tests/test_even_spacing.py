"""Evenly spaced indices."""

from __future__ import annotations

import pytest

from pipeline.even_spacing import evenly_spaced


@pytest.mark.parametrize(
    ("count", "expected"), [(3, [0, 1, 2]), (4, [0, 1, 2, 3]), (10, [0, 2, 5, 7]), (0, [])]
)
def test_indices_are_evenly_spaced(count: int, expected: list[int]) -> None:
    assert evenly_spaced(count, at_most=4) == expected
