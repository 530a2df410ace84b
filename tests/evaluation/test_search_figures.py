"""The charts of a search: what is drawn."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from pipeline.evaluation import search_figures as figures
from pipeline.evaluation.search_figures import ScoredTrials
from pipeline.metric_direction import Direction

COLUMNS: dict[str, list[Any]] = {
    "optimizer.learning_rate": [0.0, 1e-4, 1e-3, 1e-2, 1e-1, 3e-4, 3e-3, 3e-2],
    "optimizer.name": ["adam", "sgd", "adam", "sgd", "adam", "sgd", "adam", "sgd"],
    "optimizer.momentum": [None, 0.1, None, 0.5, None, 0.2, None, 0.9],
}
SCORES = [0.5, 0.6, 0.7, 0.8, 0.9, 0.65, 0.75, 0.85]


TRIALS = ScoredTrials(
    COLUMNS,
    SCORES,
    logarithmic=["optimizer.learning_rate"],
    objective="val_accuracy",
    direction="max",
)


@pytest.mark.parametrize(("direction", "expected"), [("max", [3, 3, 5]), ("min", [3, 2, 2])])
def test_the_best_so_far_never_gets_worse(direction: Direction, expected: list[int]) -> None:
    trials = dataclasses.replace(TRIALS, scores=[3.0, 2.0, 5.0], direction=direction)
    figure = figures.plot_optimization_history(trials, [1.0, 2.0, 9.0], pruned=[False, True, False])
    left, right = figure.axes
    for axes, x in ((left, [1, 2, 3]), (right, [1, 2, 9])):
        (line,) = axes.lines
        np.testing.assert_array_equal(line.get_xydata(), np.column_stack([x, expected]))
    assert left.get_title() == "val_accuracy (gray: pruned)"


def test_each_parameter_has_a_plot_of_the_trials_that_have_it() -> None:
    panels: list[Any] = figures.plot_slices(TRIALS).axes
    rate, name, momentum = panels
    assert rate.get_xscale() == "log"
    assert [label.get_text() for label in name.get_xticklabels()] == ["adam", "sgd"]
    assert len(momentum.collections[0].get_offsets()) == 4


def test_the_parameter_that_decides_is_the_most_important() -> None:
    rates = list(np.linspace(0, 1, 40))
    columns = {"noise": list(np.random.default_rng(0).permutation(40)), "rate": rates}
    figure = figures.plot_parameter_importances(
        dataclasses.replace(TRIALS, columns=columns, scores=rates)
    )
    assert figure is not None
    axes: Any = figure.axes[0]
    noise, rate = axes.patches
    assert rate.get_width() > 10 * noise.get_width()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["noise", "rate"]


def test_too_few_trials_have_no_importances() -> None:
    columns = {path: values[:7] for path, values in COLUMNS.items()}
    few = dataclasses.replace(TRIALS, columns=columns, scores=SCORES[:7])
    assert figures.plot_parameter_importances(few) is None


def test_every_trial_is_a_line_through_its_values_and_the_best_is_on_top() -> None:
    axes: Any = figures.plot_parallel_coordinates(TRIALS).axes[0]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 4]
    assert len(lines) == len(SCORES)
    heights = [line.get_ydata()[-1] for line in lines]
    assert heights == sorted(heights)
    assert (heights[0], heights[-1]) == (0.0, 1.0)
