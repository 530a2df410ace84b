"""The differences between runs: in their recipes, and in their results on the same images.

A run differs from the first one where the 95 % interval of the difference in accuracy, or in what a
task has for it, excludes 0.
Where several are compared with it, their p-values are corrected for their number instead.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.errors import DataError
from pipeline.evaluation.html_pages import render_page
from pipeline.evaluation.intervals import LEVEL
from pipeline.evaluation.metrics import is_overall
from pipeline.evaluation.predictions import PairedDifference, Predictions, paired_difference
from pipeline.evaluation.significance import adjust_p_values
from pipeline.metric_direction import metric_direction

_MIN_SHOWN = 0.0001
_COUNTS = ("best_epoch", "near_best_epochs", "val_duplicates", "test_duplicates")


@dataclass(frozen=True)
class ComparedRun:
    """A run to compare.

    Attributes:
        name: of the run.
        run_id: of the run, to distinguish runs of the same name.
        parameters: its recipe, by dotted path.
        metrics: its final metrics, by name.
        predictions: of its model, by split.
        compare: as `paired_difference` takes it, for the task of the model.
    """

    name: str
    run_id: str
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    predictions: Mapping[str, Predictions]
    compare: Callable[[Predictions, Predictions], PairedDifference]


@dataclass(frozen=True)
class PairedComparison:
    """A run compared with the first one on the images of a split.

    Attributes:
        split: of the images.
        name: of the run.
        difference: from the first run; None where the images are not the same.
        conclusion: whether the run is better, or why that is unknown.
        comparisons: how many runs are compared with the first one on these images.
        p_value: of the difference in accuracy, corrected for them; None of one comparison.
    """

    split: str
    name: str
    difference: PairedDifference | None
    conclusion: str
    comparisons: int = 1
    p_value: float | None = None

    @property
    def correction(self) -> str:
        """The corrected p-value as text; empty of one comparison."""
        if self.p_value is None:
            return ""
        p_value = f"{self.p_value:.4f}" if self.p_value >= _MIN_SHOWN else f"below {_MIN_SHOWN}"
        return f"p-value {p_value}, corrected for {self.comparisons} comparisons"


@dataclass(frozen=True)
class RunComparison:
    """The differences between runs.

    Attributes:
        names: of the runs.
        parameters: the recipe values that differ, by dotted path; – where a run has none.
        metrics: the final metrics of each run, by name, as text; – where a run has none.
        pairs: every other run compared with the first one.
    """

    names: Sequence[str]
    parameters: Mapping[str, Sequence[str]]
    metrics: Mapping[str, Sequence[str]]
    pairs: Sequence[PairedComparison]


def compare_runs(runs: Sequence[ComparedRun]) -> RunComparison:
    """Compare runs with the first one."""
    names = _distinct_names(runs)
    paths = sorted({path for run in runs for path in run.parameters})
    parameters = {path: [run.parameters.get(path, "–") for run in runs] for path in paths}
    metrics = sorted({name for run in runs for name in run.metrics if is_overall(name)})
    first, *others = runs
    return RunComparison(
        names=names,
        parameters={path: row for path, row in parameters.items() if len(set(row)) > 1},
        metrics={
            name: [_formatted(name, run.metrics.get(name)) for run in runs] for name in metrics
        },
        pairs=[
            pair
            for split, predictions in first.predictions.items()
            for pair in _corrected(
                [
                    _compare_pair(first, split, other, name)
                    for other, name in zip(others, names[1:], strict=True)
                    if split in other.predictions
                ]
            )
        ],
    )


def to_text(comparison: RunComparison) -> str:
    """Return a comparison as tables for a terminal."""
    names, parameters = comparison.names, comparison.parameters
    recipes = _table("recipe", names, parameters) if parameters else "The recipes are identical."
    metrics = _table("metric", names, comparison.metrics)
    sentences = [_sentence(pair, names[0]) for pair in comparison.pairs]
    return "\n\n".join([recipes, metrics, *sentences])


def to_csv(comparison: RunComparison) -> str:
    """Return a comparison as CSV, one parameter, metric or paired difference per row."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        ["kind", "name", *comparison.names, "difference", "low", "high", "images", "p_value"]
    )
    blank = [""] * len(comparison.names)
    for kind, table in (("parameter", comparison.parameters), ("metric", comparison.metrics)):
        writer.writerows([kind, name, *cells] for name, cells in table.items())
    for pair in comparison.pairs:
        if pair.difference:
            for position, (metric, interval) in enumerate(pair.difference.metrics.items()):
                bounds = [f"{v:.6f}" for v in (interval.value, interval.low, interval.high)]
                name = f"{pair.split}_{metric}: {pair.name} - {comparison.names[0]}"
                p_value = "" if pair.p_value is None or position else pair.p_value
                row = ["difference", name, *blank, *bounds, pair.difference.images, p_value]
                writer.writerow(row)
    return file.getvalue()


def to_html(comparison: RunComparison) -> str:
    """Return a comparison as a self-contained page."""
    return render_page(
        "run_comparison.html.jinja", {"comparison": comparison, "direction": metric_direction}
    )


def _compare_pair(
    first: ComparedRun, split: str, second: ComparedRun, name: str
) -> PairedComparison:
    if first.compare is not second.compare:
        reason = "The models were not trained for the same task."
        return PairedComparison(split, name, None, reason)
    pair = first.predictions[split], second.predictions[split]
    try:
        difference = paired_difference(*pair, first.compare)
    except DataError as error:
        return PairedComparison(split, name, None, str(error))
    decisive = difference.decisive
    is_significant = decisive.low > 0 or decisive.high < 0
    return PairedComparison(split, name, difference, _conclusion(difference, is_significant))


def _corrected(pairs: Sequence[PairedComparison]) -> list[PairedComparison]:
    """Return the comparisons on the images of a split, corrected for their number."""
    p_values = [pair.difference.p_value for pair in pairs if pair.difference]
    if len(p_values) < 2:
        return list(pairs)
    adjusted = iter(adjust_p_values(p_values))
    corrected = []
    for pair in pairs:
        if pair.difference:
            p_value = next(adjusted)
            conclusion = _conclusion(pair.difference, p_value <= 1 - LEVEL)
            pair = replace(pair, conclusion=conclusion, comparisons=len(p_values), p_value=p_value)
        corrected.append(pair)
    return corrected


def _conclusion(difference: PairedDifference, is_significant: bool) -> str:
    if not is_significant:
        return "no significant difference"
    return "better" if difference.is_improvement else "worse"


def _sentence(pair: PairedComparison, first: str) -> str:
    start = f"{pair.split}: {pair.name} vs. {first}"
    if pair.difference is None:
        return f"{start}: {pair.conclusion}"
    lines = [
        f"  {metric} {interval.value:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"
        for metric, interval in pair.difference.metrics.items()
    ]
    if pair.correction:
        lines[0] += f"  {pair.correction}"
    images = f"on the same {pair.difference.images:,} examples"
    return "\n".join([f"{start} {images}: {pair.conclusion}", *lines])


def _formatted(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if name in _COUNTS else f"{value:.4f}"


def _table(title: str, names: Sequence[str], cells: Mapping[str, Sequence[str]]) -> str:
    rows = [[title, *names], *([name, *row] for name, row in cells.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _distinct_names(runs: Sequence[ComparedRun]) -> list[str]:
    """Return the names, with the start of the run ID where two are the same."""
    names = [run.name for run in runs]
    return [
        f"{run.name} {run.run_id[:8]}" if names.count(run.name) > 1 else run.name for run in runs
    ]
