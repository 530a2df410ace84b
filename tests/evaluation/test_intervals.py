"""Confidence intervals: against known values, and by their coverage."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from pipeline.evaluation import intervals
from pipeline.evaluation.intervals import ConfidenceInterval


def bounds(interval: ConfidenceInterval) -> tuple[float, float]:
    return round(interval.low, 4), round(interval.high, 4)


def test_the_interval_of_a_proportion_is_the_bootstrap_interval() -> None:
    right = np.arange(153) < 120
    draws = np.random.default_rng(1).integers(0, 153, (20_000, 153))
    drawn = np.quantile(right[draws].mean(axis=1), (0.025, 0.975))
    interval = intervals.proportion_interval(120, 153)
    assert interval.value == 120 / 153
    assert (interval.low, interval.high) == pytest.approx(drawn, abs=1 / 153)


def test_a_model_without_errors_has_an_interval_below_1() -> None:
    # Wilson's lower bound is n / (n + z²) where all of n are right.
    interval = intervals.proportion_interval(153, 153)
    assert (interval.value, interval.high) == (1.0, 1.0)
    assert interval.low == pytest.approx(153 / (153 + 1.959964**2))
    assert intervals.proportion_interval(0, 153).high == pytest.approx(1 - interval.low)


def test_the_interval_covers_the_truth_in_about_95_of_100_samples() -> None:
    for truth, total in ((0.9, 200), (0.985, 150), (0.6, 100)):
        counts = np.random.default_rng(0).binomial(total, truth, 1000)
        found = {count: intervals.proportion_interval(int(count), total) for count in set(counts)}
        held = np.mean([found[count].low <= truth <= found[count].high for count in counts])
        assert 0.92 < held < 0.98


def test_the_interval_of_a_mean_of_proportions_covers_the_truth_too() -> None:
    for truths, totals in (
        ([0.95, 0.9, 0.6], [64, 21, 6]),
        ([0.98] * 3, [20] * 3),
        ([0.97] * 10, [30] * 10),
        ([0.8] * 300, [1] * 300),
        ([0.7] * 50, [1, 2, 3, 4, 20] * 10),
    ):
        counts = np.random.default_rng(0).binomial(totals, truths, (1000, len(totals)))
        held = []
        for count in counts:
            interval = intervals.mean_proportion_interval(count, np.array(totals))
            assert interval.value == pytest.approx(np.mean(count / np.array(totals)))
            held.append(interval.low <= np.mean(truths) <= interval.high)
        assert 0.92 < np.mean(held) < 0.98


def test_a_mean_of_perfect_proportions_has_an_interval_below_1() -> None:
    interval = intervals.mean_proportion_interval(np.array([9, 200]), np.array([9, 200]))
    assert (interval.value, interval.high) == (1.0, 1.0)
    assert interval.low < 0.97


def test_the_interval_of_a_mean_is_normal_for_many_images() -> None:
    values = np.random.default_rng(2).exponential(size=5000)
    interval = intervals.mean_interval(values)
    margin = 1.96 * values.std() / np.sqrt(5000)
    assert interval.value == values.mean()
    assert interval.high - interval.value == pytest.approx(margin, rel=0.1)
    assert interval.value - interval.low == pytest.approx(margin, rel=0.1)


def test_the_same_predictions_give_the_same_interval() -> None:
    values = np.random.default_rng(4).random(50)
    assert intervals.mean_interval(values) == intervals.mean_interval(values)


def test_a_paired_interval_detects_what_two_intervals_do_not() -> None:
    # Both models classify the same 700 of 1,000 images correctly; the second one 25 more.
    first = np.arange(1000) < 700
    second = np.arange(1000) < 725
    separate = intervals.proportion_interval(700, 1000), intervals.proportion_interval(725, 1000)
    assert separate[1].low < separate[0].high
    interval = intervals.paired_difference_interval(first, second)
    assert interval.value == pytest.approx(0.025)
    assert bounds(interval) == pytest.approx((0.016, 0.035), abs=0.002)
    assert intervals.paired_difference_interval(second, first).value == pytest.approx(-0.025)


def test_models_that_never_differ_have_an_interval_around_0() -> None:
    right = np.arange(153) < 150
    interval = intervals.paired_difference_interval(right, right)
    assert interval.value == 0
    # Agresti and Min with no discordant pair: 1.96 / (n + 2) either way.
    assert bounds(interval) == (-0.0126, 0.0126)


def test_the_paired_interval_covers_the_truth_in_about_95_of_100_samples() -> None:
    for wins, losses, total in ((0.03, 0.01, 150), (0.1, 0.1, 300)):
        generator = np.random.default_rng(5)
        held = []
        for draws in generator.multinomial(total, [wins, losses, 1 - wins - losses], 400):
            first = np.repeat([False, True, True], draws)
            second = np.repeat([True, False, True], draws)
            interval = intervals.paired_difference_interval(first, second)
            held.append(interval.low <= wins - losses <= interval.high)
        assert 0.92 < np.mean(held) <= 0.99


def test_the_balanced_difference_counts_every_class_the_same() -> None:
    labels = np.repeat([0, 1], [90, 10])
    first = np.arange(100) != 95
    second = np.arange(100) >= 9  # wrong for a tenth of the many, right for all of the few
    interval = intervals.mean_paired_difference_interval(first, second, labels)
    assert interval.value == pytest.approx((-0.1 + 0.1) / 2)
    assert intervals.paired_difference_interval(first, second).value == pytest.approx(-0.08)
    swapped = intervals.mean_paired_difference_interval(second, first, labels)
    assert bounds(swapped) == pytest.approx((-interval.high, -interval.low), abs=1e-4)


def test_the_balanced_difference_of_one_class_is_that_of_agresti_and_min() -> None:
    first, second = np.arange(153) < 150, np.arange(153) < 146
    balanced = intervals.mean_paired_difference_interval(first, second, np.zeros(153, int))
    assert bounds(balanced) == bounds(intervals.paired_difference_interval(first, second))


def test_the_balanced_difference_covers_the_truth_in_about_95_of_100_samples() -> None:
    wins, losses = np.array([0.2, 0.1, 0.02]), np.array([0.05, 0.1, 0.05])
    check_coverage(np.repeat([0, 1, 2], [20, 60, 400]), wins, losses)


def test_it_covers_the_truth_where_each_class_has_one_image() -> None:
    check_coverage(np.arange(300), np.full(300, 0.1), np.full(300, 0.15))


def check_coverage(labels: np.ndarray, wins: np.ndarray, losses: np.ndarray) -> None:
    """Assert that the interval covers the truth, given how often each model alone is right."""
    generator = np.random.default_rng(7)
    held = []
    for uniform in generator.random((400, len(labels))):
        second_wins = uniform < wins[labels]
        first = ~second_wins
        second = ~(~second_wins & (uniform > 1 - losses[labels]))
        interval = intervals.mean_paired_difference_interval(first, second, labels)
        held.append(interval.low <= np.mean(wins - losses) <= interval.high)
    assert 0.92 < np.mean(held) <= 0.99


def test_the_mean_over_runs_has_a_t_interval() -> None:
    summary = intervals.summarize_runs(np.array([0.9, 0.92, 0.94]), limits=(0.0, 1.0))
    assert (summary.mean, summary.std) == (pytest.approx(0.92), pytest.approx(0.02))
    margin = 4.302653 * 0.02 / np.sqrt(3)  # the t quantile with two degrees of freedom
    assert (summary.mean_low, summary.mean_high) == pytest.approx((0.92 - margin, 0.92 + margin))


def test_the_interval_of_a_mean_over_runs_stays_within_the_metric_s_limits() -> None:
    summary = intervals.summarize_runs(np.array([0.97, 0.99, 1.0]), limits=(0.0, 1.0))
    assert summary.mean_high == 1.0
    assert summary.mean_low < 0.97
    losses = intervals.summarize_runs(np.array([0.01, 0.3, 1.5]), limits=(0.0, np.inf))
    assert losses.mean_low == 0.0
    assert losses.mean_high > 1.5


def test_resamples_of_many_images_take_little_memory() -> None:
    values = np.random.default_rng(6).random(20_000)
    tracemalloc.start()
    intervals.mean_interval(values)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * 2**20
