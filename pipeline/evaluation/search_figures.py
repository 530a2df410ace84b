"""Pictures of a search: what it found when, and what each parameter has to do with it."""

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
_FEWEST = 8  # trials, below which importance is noise
_SEED = 0


def best_so_far(
    scores: Sequence[float],
    seconds: Sequence[float],
    *,
    pruned: Sequence[bool],
    objective: str,
    direction: Direction,
) -> Figure:
    """Return the scores, and the best of them so far, over trials and over time.

    Args:
        scores: of the trials that have one, in order.
        seconds: since the start, at the end of each.
        pruned: which of them were ended early.
        objective: the name of the score.
        direction: whether larger or smaller is better.
    """
    best = (np.maximum if direction == "max" else np.minimum).accumulate(np.asarray(scores))
    colors = [_PRUNED if early else _TRIAL for early in pruned]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, places, label in (
        (left, np.arange(1, len(scores) + 1), "trial"),
        (right, np.asarray(seconds), "seconds"),
    ):
        axes.step(places, best, where="post", color=_BEST, label="best so far")
        axes.scatter(places, scores, c=colors, s=18, zorder=3, label="a trial")
        axes.set(xlabel=label)
        axes.spines[["top", "right"]].set_visible(False)
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    title = objective + (" (gray: ended early)" if any(pruned) else "")
    left.set(ylabel=objective, title=title)
    left.legend(frameon=False)
    return figure


def each_parameter(
    columns: Mapping[str, Sequence[Any]],
    scores: Sequence[float],
    *,
    logarithmic: Sequence[str],
    objective: str,
) -> Figure:
    """Return the score against each parameter.

    Args:
        columns: by path, a number or a text for each trial, None where the trial lacks it.
        scores: of the trials.
        logarithmic: the paths whose values stand on a logarithmic axis.
        objective: the name of the score.
    """
    across = min(len(columns), 3)
    down = -(-len(columns) // across)
    figure = Figure(figsize=(3.4 * across, 2.9 * down), layout="constrained")
    every = figure.subplots(down, across, sharey=True, squeeze=False).ravel()
    for axes, (path, values) in zip(every, columns.items(), strict=False):
        known = [place for place, value in enumerate(values) if value is not None]
        x: list[Any] = [values[place] for place in known]
        y = np.asarray([scores[place] for place in known])
        if any(isinstance(value, str) for value in x):
            names = sorted(set(map(str, x)))
            numbers = np.asarray([names.index(str(value)) for value in x])
            spread = np.random.default_rng(_SEED).uniform(-0.12, 0.12, len(x))
            axes.scatter(numbers + spread, y, s=14, color=_TRIAL)
            axes.set_xticks(range(len(names)), [_short(name) for name in names], fontsize=8)
            axes.set_xlim(-0.5, len(names) - 0.5)
        else:
            axes.scatter(x, y, s=14, color=_TRIAL)
            if path in logarithmic:
                axes.set_xscale("log")
        axes.set_xlabel(path, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in every[len(columns) :]:
        axes.set_visible(False)
    for axes in every[::across]:
        axes.set_ylabel(objective)
    return figure


def importance(
    columns: Mapping[str, Sequence[Any]], scores: Sequence[float], *, objective: str
) -> Figure | None:
    """Return how much each parameter matters to the score, None where trials are too few to tell.

    A random forest learns the score from the parameters; a parameter matters as much as its R²
    falls when that parameter's values are permuted (Breiman, 2001). It is measured on the trials
    that the forest learnt from, so that it compares parameters and says nothing of other trials.
    """
    if len(scores) < _FEWEST or len(columns) < 2:
        return None
    x = np.column_stack([_numbers(values) for values in columns.values()])
    forest = RandomForestRegressor(n_estimators=100, random_state=_SEED).fit(x, scores)
    found = permutation_importance(forest, x, scores, n_repeats=10, random_state=_SEED)
    order = np.argsort(found.importances_mean)
    figure = Figure(figsize=(7, 0.45 * len(columns) + 1.4), layout="constrained")
    axes = figure.subplots()
    axes.barh(
        [list(columns)[place] for place in order],
        found.importances_mean[order],
        xerr=found.importances_std[order],
        color=_TRIAL,
        ecolor=_PRUNED,
    )
    axes.set(
        xlabel=f"fall of R² of {objective} when the parameter is permuted",
        title="Permutation importance in a random forest",
    )
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def parallel_coordinates(
    columns: Mapping[str, Sequence[Any]],
    scores: Sequence[float],
    *,
    logarithmic: Sequence[str],
    objective: str,
    direction: Direction,
) -> Figure:
    """Return each trial as a line through its values, coloured by its score, the best on top."""
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
        ends.append((_end(values, path, low, logarithmic), _end(values, path, high, logarithmic)))
    ranks = np.argsort(np.argsort(scores)) / max(len(scores) - 1, 1)
    goodness = ranks if direction == "max" else 1 - ranks
    for place in np.argsort(goodness):
        heights = [line[place] for line in lines]
        axes.plot(
            range(len(lines)),
            heights,
            color=colormaps["viridis"](goodness[place]),
            alpha=0.35 + 0.6 * goodness[place],
            linewidth=1 + 1.5 * (goodness[place] > 0.9),
        )
    for place, (low, high) in enumerate(ends):
        axes.axvline(place, color=_PRUNED, linewidth=1, zorder=0)
        axes.text(place, -0.04, low, ha="center", va="top", fontsize=8)
        axes.text(place, 1.04, high, ha="center", va="bottom", fontsize=8)
    names = [path.replace(".", ".\n") for path in columns]
    axes.set_xticks(range(len(lines)), [*names, objective], fontsize=9)
    axes.tick_params(axis="x", length=0, pad=18)
    axes.set(yticks=[], ylim=(-0.02, 1.02), xlim=(-0.4, len(lines) - 0.6))
    axes.spines[:].set_visible(False)
    return figure


def _numbers(values: Sequence[Any]) -> np.ndarray:
    """Return values as numbers, texts by their order, NaN for what a trial lacks."""
    texts = sorted({str(value) for value in values if isinstance(value, str)})
    if texts:
        return np.asarray([texts.index(str(v)) if v is not None else np.nan for v in values])
    return np.asarray([np.nan if value is None else float(value) for value in values])


def _end(values: Sequence[Any], path: str, number: float, logarithmic: Sequence[str]) -> str:
    texts = sorted({str(value) for value in values if isinstance(value, str)})
    if texts:
        return _short(texts[int(number)])
    return f"{10**number if path in logarithmic else number:.3g}"


def _short(text: str) -> str:
    return text if len(text) <= 16 else f"{text[:15]}…"
