"""Significance: the exact paired test, and corrections for many comparisons."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.significance import (
    adjust_p_values,
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
    assert mcnemar_test(*answers(0, 0, 50)) == 1.0


def test_equal_models_seldom_differ() -> None:
    generator = np.random.default_rng(0)
    p_values = np.array([mcnemar_test(*(generator.random((2, 60)) < 0.8)) for _ in range(2000)])
    assert 0.01 < np.mean(p_values <= 0.05) <= 0.05


def test_all_comparisons_together_have_the_level() -> None:
    spent = [level_of_comparison(number) for number in range(1, 10_001)]
    assert spent[0] == pytest.approx(0.025)
    assert spent[1] == pytest.approx(0.05 / 6)
    assert sum(spent) == pytest.approx(0.05, rel=1e-3)
    assert sum(spent) < 0.05


@pytest.mark.parametrize("level", [0.05, level_of_comparison(1), level_of_comparison(30)])
def test_fewer_images_cannot_show_a_difference(level: float) -> None:
    needed = min_images_to_differ(level)
    assert mcnemar_test(*answers(needed, 0, needed)) <= level
    assert mcnemar_test(*answers(needed - 1, 0, needed - 1)) > level


def test_p_values_are_corrected_as_holm_did() -> None:
    # 0.01 * 4; 0.02 * 3; then 0.03 * 2, which is not less; 0.9 * 1
    corrected = adjust_p_values([0.9, 0.02, 0.01, 0.03])
    assert corrected == pytest.approx([0.9, 0.06, 0.04, 0.06])


def test_corrected_p_values_are_at_most_1_and_one_alone_is_its_own() -> None:
    assert adjust_p_values([0.7, 0.8]) == [1.0, 1.0]
    assert adjust_p_values([0.03]) == [0.03]
    assert adjust_p_values([]) == []
