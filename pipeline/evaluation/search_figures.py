"""Charts of a hyperparameter search: its progress, and the effect of each parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from pipeline.metric_direction import Direction

_TRIAL, _BEST, _PRUNED = "#4477aa", "#ee6677", "#bbbbbb"
_MIN_TRIALS = 8  # below which importances are noise
_SEED = 0


@dataclass(frozen=True)
class ScoredTrials:
    """The trials of a search that have a score, in order.

    Attributes:
        columns: by path, a number or a string per trial, None where the trial lacks the parameter.
        scores: of the trials.
        logarithmic: the paths that get a logarithmic axis.
        objective: the name of the score.
        direction: whether larger or smaller is better.
    """

    columns: Mapping[str, Sequence[Any]]
    scores: Sequence[float]
    logarithmic: Sequence[str]
    objective: str
    direction: Direction


def plot_optimization_history(
    trials: ScoredTrials, seconds: Sequence[float], *, pruned: Sequence[bool]
) -> Figure:
    """Plot the scores and the best score so far, by trial and by time.

    Args:
        trials: the trials.
        seconds: from the start of the search to the end of each trial.
        pruned: whether each trial was stopped early.
    """
    scores, objective = trials.scores, trials.objective
    best = (np.maximum if trials.direction == "max" else np.minimum).accumulate(scores)
    colors = [_PRUNED if is_pruned else _TRIAL for is_pruned in pruned]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, x, label in ((left, range(1, len(scores) + 1), "trial"), (right, seconds, "seconds")):
        axes.step(x, best, where="post", color=_BEST, label="best so far")
        axes.scatter(x, scores, c=colors, s=18, zorder=3, label="trial")
        axes.set(xlabel=label)
        _hide_frame(axes)
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.set(ylabel=objective, title=objective + (" (gray: pruned)" if any(pruned) else ""))
    left.legend(frameon=False)
    return figure


def plot_slices(trials: ScoredTrials) -> Figure:
    """Plot the score against each parameter."""
    columns = trials.columns
    width = min(len(columns), 3)
    height = -(-len(columns) // width)
    figure = Figure(figsize=(3.4 * width, 2.9 * height), layout="constrained")
    panels = figure.subplots(height, width, sharey=True, squeeze=False).ravel()
    for axes, (path, values) in zip(panels, columns.items(), strict=False):
        numbers, names = _encode(values)
        is_known = np.isfinite(numbers)
        x, y = numbers[is_known], np.asarray(trials.scores)[is_known]
        if names:
            x = x + np.random.default_rng(_SEED).uniform(-0.12, 0.12, len(x))
            axes.set_xticks(range(len(names)), names, fontsize=8)
            axes.set_xlim(-0.5, len(names) - 0.5)
        elif path in trials.logarithmic:
            axes.set_xscale("log")
        axes.scatter(x, y, s=14, color=_TRIAL)
        axes.set_xlabel(path, fontsize=9)
        _hide_frame(axes)
    for axes in panels[len(columns) :]:
        axes.set_visible(False)
    for axes in panels[::width]:
        axes.set_ylabel(trials.objective)
    return figure


def plot_parameter_importances(trials: ScoredTrials) -> Figure | None:
    """Plot the permutation importance of each parameter (Breiman, 2001); None below 8 trials.

    A random forest is fitted to the scores. The importance of a parameter is the decrease in R²
    when its values are permuted, on the same trials: it ranks parameters, no more.
    """
    columns, scores = trials.columns, trials.scores
    if len(scores) < _MIN_TRIALS or len(columns) < 2:
        return None
    x = np.column_stack([_encode(values)[0] for values in columns.values()])
    forest = RandomForestRegressor(n_estimators=100, random_state=_SEED).fit(x, scores)
    importances = permutation_importance(forest, x, scores, n_repeats=10, random_state=_SEED)
    means, deviations = importances.importances_mean, importances.importances_std
    order = np.argsort(means)
    paths = np.array(list(columns))[order]
    figure = Figure(figsize=(7, 0.45 * len(columns) + 1.4), layout="constrained")
    axes = figure.subplots()
    axes.barh(paths, means[order], xerr=deviations[order], color=_TRIAL, ecolor=_PRUNED)
    axes.set(
        xlabel=f"decrease in R² of {trials.objective} when the parameter is permuted",
        title="Permutation importance (random forest)",
    )
    _hide_frame(axes)
    return figure


def plot_parallel_coordinates(trials: ScoredTrials) -> Figure:
    """Plot each trial as a line through its values, colored by its score, the best on top."""
    columns = {**trials.columns, trials.objective: trials.scores}
    figure = Figure(figsize=(1.7 * len(columns) + 2, 4.2), layout="constrained")
    axes = figure.subplots()
    heights = []
    for x, (path, values) in enumerate(columns.items()):
        numbers, names = _encode(values)
        is_logarithmic = path in trials.logarithmic
        if is_logarithmic:
            numbers = np.log10(np.maximum(numbers, np.nanmin(numbers[numbers > 0])))
        known = numbers[np.isfinite(numbers)]
        low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
        heights.append((numbers - low) / ((high - low) or 1.0))
        axes.axvline(x, color=_PRUNED, linewidth=1, zorder=0)
        for end, y, alignment in ((low, -0.04, "top"), (high, 1.04, "bottom")):
            number = 10**end if is_logarithmic else end
            label = names[int(end)] if names else f"{number:.3g}"
            axes.text(x, y, label, ha="center", va=alignment, fontsize=8)
    ranks = np.argsort(np.argsort(trials.scores)) / max(len(trials.scores) - 1, 1)
    goodness = ranks if trials.direction == "max" else 1 - ranks
    for index in np.argsort(goodness):
        axes.plot(
            range(len(columns)),
            [column[index] for column in heights],
            color=colormaps["viridis"](goodness[index]),
            alpha=0.35 + 0.6 * goodness[index],
            linewidth=1 + 1.5 * (goodness[index] > 0.9),
        )
    labels = [path.replace(".", ".\n") for path in trials.columns]
    axes.set_xticks(range(len(columns)), [*labels, trials.objective], fontsize=9)
    axes.tick_params(axis="x", length=0, pad=18)
    axes.set(yticks=[], ylim=(-0.02, 1.02), xlim=(-0.4, len(columns) - 0.6))
    axes.spines[:].set_visible(False)
    return figure


def _encode(values: Sequence[Any]) -> tuple[np.ndarray, list[str]]:
    """Return values as numbers, None as NaN; strings as ranks, with the labels of these ranks."""
    names = sorted({value for value in values if isinstance(value, str)})
    ranks = {name: rank for rank, name in enumerate(names)} | {None: np.nan}
    numbers = np.asarray([ranks.get(value, value) for value in values], float)
    return numbers, [name if len(name) <= 16 else f"{name[:15]}…" for name in names]


def _hide_frame(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
