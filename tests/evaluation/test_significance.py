"""Significance: the exact paired test, its interval, and corrections for many comparisons."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.significance import (
    adjust_p_values,
    exact_difference_interval,
    level_of_comparison,
    mcnemar_test,
    min_images_to_differ,
)


def answers(wins: int, losses: int, total: int) -> tuple[np.ndarray, np.ndarray]:
    """Return whether each of two models is right, where only one of them is."""
    number = np.arange(total)
    return (number >= wins), (number < wins) | (number >= wins + losses)


def test_the_p_value_is_that_of_tossed_coins() -> None:
    assert mcnemar_test(*answers(8, 2, 100)) == pytest.approx(2 * (1 + 10 + 45) / 2**10)
    assert mcnemar_test(*answers(2, 8, 100)) == pytest.approx(2 * (1 + 10 + 45) / 2**10)


def test_models_that_are_right_about_the_same_images_do_not_differ() -> None:
    same = answers(0, 0, 50)
    assert mcnemar_test(*same) == 1.0
    interval = exact_difference_interval(*same, level=0.95)
    assert (interval.value, interval.low, interval.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("level", [0.95, 0.999])
def test_the_interval_excludes_0_where_the_test_is_significant(level: float) -> None:
    for total in (12, 40):
        for wins in range(total + 1):
            compared = answers(wins, total - wins, 100)
            interval = exact_difference_interval(*compared, level=level)
            is_significant = mcnemar_test(*compared) <= 1 - level
            assert (interval.low > 0 or interval.high < 0) == is_significant
            assert interval.low <= interval.value <= interval.high


def test_equal_models_seldom_differ() -> None:
    generator = np.random.default_rng(0)
    lows = [
        exact_difference_interval(*(generator.random((2, 60)) < 0.8), level=0.95).low
        for _ in range(2000)
    ]
    assert 0.002 < np.mean(np.array(lows) > 0) <= 0.025


def test_all_comparisons_together_have_the_level() -> None:
    spent = [1 - level_of_comparison(number) for number in range(1, 10_001)]
    assert spent[0] == pytest.approx(0.025)
    assert spent[1] == pytest.approx(0.05 / 6)
    assert sum(spent) == pytest.approx(0.05, rel=1e-3)
    assert sum(spent) < 0.05


@pytest.mark.parametrize("level", [0.95, level_of_comparison(1), level_of_comparison(30)])
def test_fewer_images_cannot_show_a_difference(level: float) -> None:
    needed = min_images_to_differ(level)
    least = exact_difference_interval(*answers(needed, 0, needed), level=level)
    fewer = exact_difference_interval(*answers(needed - 1, 0, needed - 1), level=level)
    assert least.low > 0 >= fewer.low


def test_p_values_are_corrected_as_holm_did() -> None:
    # 0.01 * 4; 0.02 * 3; then 0.03 * 2, which is not less; 0.9 * 1
    corrected = adjust_p_values([0.9, 0.02, 0.01, 0.03])
    assert corrected == pytest.approx([0.9, 0.06, 0.04, 0.06])


def test_corrected_p_values_are_at_most_1_and_one_alone_is_its_own() -> None:
    assert adjust_p_values([0.7, 0.8]) == [1.0, 1.0]
    assert adjust_p_values([0.03]) == [0.03]
    assert adjust_p_values([]) == []
