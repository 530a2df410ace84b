"""Charts of a hyperparameter search: its progress, and the effect of each parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from pipeline.metric_direction import Direction

_TRIAL, _BEST, _PRUNED = "#4477aa", "#ee6677", "#bbbbbb"
_MIN_TRIALS = 8  # below which importances are noise
_SEED = 0


def plot_optimization_history(
    scores: Sequence[float],
    seconds: Sequence[float],
    *,
    pruned: Sequence[bool],
    objective: str,
    direction: Direction,
) -> Figure:
    """Plot the scores and the best score so far, by trial and by time.

    Args:
        scores: of the trials that have one, in order.
        seconds: from the start of the search to the end of each trial.
        pruned: whether each trial was stopped early.
        objective: the name of the score.
        direction: whether larger or smaller is better.
    """
    best = (np.maximum if direction == "max" else np.minimum).accumulate(np.asarray(scores))
    colors = [_PRUNED if is_pruned else _TRIAL for is_pruned in pruned]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, x, label in (
        (left, np.arange(1, len(scores) + 1), "trial"),
        (right, np.asarray(seconds), "seconds"),
    ):
        axes.step(x, best, where="post", color=_BEST, label="best so far")
        axes.scatter(x, scores, c=colors, s=18, zorder=3, label="trial")
        axes.set(xlabel=label)
        axes.spines[["top", "right"]].set_visible(False)
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    title = objective + (" (gray: pruned)" if any(pruned) else "")
    left.set(ylabel=objective, title=title)
    left.legend(frameon=False)
    return figure


def plot_slices(
    columns: Mapping[str, Sequence[Any]],
    scores: Sequence[float],
    *,
    logarithmic: Sequence[str],
    objective: str,
) -> Figure:
    """Plot the score against each parameter.

    Args:
        columns: by path, a number or a string per trial, None where the trial lacks the parameter.
        scores: of the trials.
        logarithmic: the paths that get a logarithmic axis.
        objective: the name of the score.
    """
    width = min(len(columns), 3)
    height = -(-len(columns) // width)
    figure = Figure(figsize=(3.4 * width, 2.9 * height), layout="constrained")
    panels = figure.subplots(height, width, sharey=True, squeeze=False).ravel()
    for axes, (path, values) in zip(panels, columns.items(), strict=False):
        known = [index for index, value in enumerate(values) if value is not None]
        x: list[Any] = [values[index] for index in known]
        y = np.asarray([scores[index] for index in known])
        if any(isinstance(value, str) for value in x):
            names = sorted(set(map(str, x)))
            numbers = np.asarray([names.index(str(value)) for value in x])
            jitter = np.random.default_rng(_SEED).uniform(-0.12, 0.12, len(x))
            axes.scatter(numbers + jitter, y, s=14, color=_TRIAL)
            axes.set_xticks(range(len(names)), [_truncated(name) for name in names], fontsize=8)
            axes.set_xlim(-0.5, len(names) - 0.5)
        else:
            axes.scatter(x, y, s=14, color=_TRIAL)
            if path in logarithmic:
                axes.set_xscale("log")
        axes.set_xlabel(path, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(columns) :]:
        axes.set_visible(False)
    for axes in panels[::width]:
        axes.set_ylabel(objective)
    return figure


def plot_parameter_importances(
    columns: Mapping[str, Sequence[Any]], scores: Sequence[float], *, objective: str
) -> Figure | None:
    """Plot the permutation importance of each parameter (Breiman, 2001); None below 8 trials.

    A random forest is fitted to the scores. The importance of a parameter is the decrease in R²
    when its values are permuted, on the same trials: it ranks parameters, no more.
    """
    if len(scores) < _MIN_TRIALS or len(columns) < 2:
        return None
    x = np.column_stack([_numbers(values) for values in columns.values()])
    forest = RandomForestRegressor(n_estimators=100, random_state=_SEED).fit(x, scores)
    importances = permutation_importance(forest, x, scores, n_repeats=10, random_state=_SEED)
    order = np.argsort(importances.importances_mean)
    figure = Figure(figsize=(7, 0.45 * len(columns) + 1.4), layout="constrained")
    axes = figure.subplots()
    axes.barh(
        [list(columns)[index] for index in order],
        importances.importances_mean[order],
        xerr=importances.importances_std[order],
        color=_TRIAL,
        ecolor=_PRUNED,
    )
    axes.set(
        xlabel=f"decrease in R² of {objective} when the parameter is permuted",
        title="Permutation importance (random forest)",
    )
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def plot_parallel_coordinates(
    columns: Mapping[str, Sequence[Any]],
    scores: Sequence[float],
    *,
    logarithmic: Sequence[str],
    objective: str,
    direction: Direction,
) -> Figure:
    """Plot each trial as a line through its values, colored by its score, the best on top."""
    figure = Figure(figsize=(1.7 * (len(columns) + 1) + 2, 4.2), layout="constrained")
    axes = figure.subplots()
    lines, ends = [], []
    for path, values in [*columns.items(), (objective, list(scores))]:
        numbers = _numbers(values)
        if path in logarithmic:
            numbers = np.log10(np.maximum(numbers, np.nanmin(numbers[numbers > 0])))
        known = numbers[np.isfinite(numbers)]
        low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
        lines.append((numbers - low) / ((high - low) or 1.0))
        ends.append(
            (_axis_end(values, path, low, logarithmic), _axis_end(values, path, high, logarithmic))
        )
    ranks = np.argsort(np.argsort(scores)) / max(len(scores) - 1, 1)
    goodness = ranks if direction == "max" else 1 - ranks
    for index in np.argsort(goodness):
        heights = [line[index] for line in lines]
        axes.plot(
            range(len(lines)),
            heights,
            color=colormaps["viridis"](goodness[index]),
            alpha=0.35 + 0.6 * goodness[index],
            linewidth=1 + 1.5 * (goodness[index] > 0.9),
        )
    for x, (low, high) in enumerate(ends):
        axes.axvline(x, color=_PRUNED, linewidth=1, zorder=0)
        axes.text(x, -0.04, low, ha="center", va="top", fontsize=8)
        axes.text(x, 1.04, high, ha="center", va="bottom", fontsize=8)
    names = [path.replace(".", ".\n") for path in columns]
    axes.set_xticks(range(len(lines)), [*names, objective], fontsize=9)
    axes.tick_params(axis="x", length=0, pad=18)
    axes.set(yticks=[], ylim=(-0.02, 1.02), xlim=(-0.4, len(lines) - 0.6))
    axes.spines[:].set_visible(False)
    return figure


def _numbers(values: Sequence[Any]) -> np.ndarray:
    """Return values as numbers: strings as their alphabetical rank, None as NaN."""
    names = sorted({str(value) for value in values if isinstance(value, str)})
    if names:
        return np.asarray([names.index(str(v)) if v is not None else np.nan for v in values])
    return np.asarray([np.nan if value is None else float(value) for value in values])


def _axis_end(values: Sequence[Any], path: str, number: float, logarithmic: Sequence[str]) -> str:
    names = sorted({str(value) for value in values if isinstance(value, str)})
    if names:
        return _truncated(names[int(number)])
    return f"{10**number if path in logarithmic else number:.3g}"


def _truncated(text: str) -> str:
    return text if len(text) <= 16 else f"{text[:15]}…"
