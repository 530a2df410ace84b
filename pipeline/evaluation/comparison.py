"""What differs between models, in their recipes and in their results on the same images."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.errors import DataError
from pipeline.evaluation.html_pages import page
from pipeline.evaluation.predictions import Difference, Predictions, difference

_TEMPLATE = "comparison.html.jinja"
_COUNTS = ("best_epoch", "val_duplicates", "test_duplicates")


@dataclass(frozen=True)
class Contender:
    """A model to compare.

    Attributes:
        name: what it is called.
        identity: by which it is told from others of that name.
        parameters: its recipe, by dotted path.
        metrics: its final metrics.
        predictions: what it gives the images of each split.
    """

    name: str
    identity: str
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    predictions: Mapping[str, Predictions]


@dataclass(frozen=True)
class Pairing:
    """A model compared with the first one on the images of a split.

    Attributes:
        split: which images.
        name: of the model.
        difference: its figures less those of the first; None where the images are not the same.
        verdict: what follows from that, or why it cannot be told.
    """

    split: str
    name: str
    difference: Difference | None
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """What differs.

    Attributes:
        names: of the models.
        recipe: the values that are not the same everywhere, by dotted path; – where there is none.
        results: the metrics of each model by name; None where it has none.
        pairings: every model but the first against the first one.
    """

    names: Sequence[str]
    recipe: Mapping[str, Sequence[str]]
    results: Mapping[str, Sequence[float | None]]
    pairings: Sequence[Pairing]


def compare(contenders: Sequence[Contender]) -> Comparison:
    """Return what differs between models; the first one is what the others are held against."""
    names = _distinct_names(contenders)
    keys = sorted({key for contender in contenders for key in contender.parameters})
    recipe = {key: [each.parameters.get(key, "–") for each in contenders] for key in keys}
    metrics = sorted({name for each in contenders for name in each.metrics if _is_final(name)})
    first, *others = contenders
    return Comparison(
        names=names,
        recipe={key: values for key, values in recipe.items() if len(set(values)) > 1},
        results={name: [each.metrics.get(name) for each in contenders] for name in metrics},
        pairings=[
            _pairing(split, first.predictions[split], other.predictions[split], name)
            for split in first.predictions
            for other, name in zip(others, names[1:], strict=True)
            if split in other.predictions
        ],
    )


def as_text(comparison: Comparison) -> str:
    """Return a comparison as tables for a terminal."""
    parts = []
    if comparison.recipe:
        parts.append(_table(["recipe", *comparison.names], list(_recipe_rows(comparison))))
    else:
        parts.append("The recipes are the same.")
    parts.append(_table(["result", *comparison.names], list(_result_rows(comparison))))
    parts += [_sentence(pairing, comparison.names[0]) for pairing in comparison.pairings]
    return "\n\n".join(parts)


def as_csv(comparison: Comparison) -> str:
    """Return a comparison as CSV: what kind of row it is, its name, and the value of each model."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["kind", "name", *comparison.names, "difference", "low", "high", "images"])
    blank = [""] * len(comparison.names)
    writer.writerows(["recipe", *row] for row in _recipe_rows(comparison))
    writer.writerows(["result", *row] for row in _result_rows(comparison))
    for pairing in comparison.pairings:
        if pairing.difference:
            found, label = pairing.difference, f"{pairing.name} - {comparison.names[0]}"
            for metric, interval in (("accuracy", found.accuracy), ("log_loss", found.log_loss)):
                bounds = [f"{v:.6f}" for v in (interval.value, interval.low, interval.high)]
                name = f"{pairing.split}_{metric}: {label}"
                writer.writerow(["paired", name, *blank, *bounds, found.images])
    return file.getvalue()


def as_html(comparison: Comparison) -> str:
    """Return a comparison as a page of its own."""
    values = {
        "comparison": comparison,
        "recipe_rows": list(_recipe_rows(comparison)),
        "result_rows": list(_result_rows(comparison)),
    }
    return page(_TEMPLATE, values)


def _pairing(split: str, first: Predictions, second: Predictions, name: str) -> Pairing:
    try:
        found = difference(first, second)
    except DataError as refusal:
        return Pairing(split, name, None, str(refusal))
    if found.accuracy.low > 0:
        verdict = "better"
    elif found.accuracy.high < 0:
        verdict = "worse"
    else:
        verdict = "no difference that these images can show"
    return Pairing(split, name, found, verdict)


def _sentence(pairing: Pairing, first: str) -> str:
    start = f"{pairing.split}: {pairing.name} against {first}"
    found = pairing.difference
    if found is None:
        return f"{start}: {pairing.verdict}"
    accuracy, loss = (
        f"{interval.value:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"
        for interval in (found.accuracy, found.log_loss)
    )
    return (
        f"{start}, on the same {found.images:,} images: {pairing.verdict}\n"
        f"  accuracy {accuracy}\n  log_loss {loss}"
    )


def _recipe_rows(comparison: Comparison) -> list[list[str]]:
    return [[key, *values] for key, values in comparison.recipe.items()]


def _result_rows(comparison: Comparison) -> list[list[str]]:
    return [
        [name, *(_shown(name, value) for value in values)]
        for name, values in comparison.results.items()
    ]


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if name in _COUNTS else f"{value:.4f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[place]) for row in (header, *rows)) for place in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    )


def _is_final(name: str) -> bool:
    """Return whether a metric is a result, not the bound of one, of a class or of an epoch."""
    return "/" not in name and not name.endswith(("_low", "_high"))


def _distinct_names(contenders: Sequence[Contender]) -> list[str]:
    """Return the names, with the beginning of what tells them apart where they are the same."""
    names = [contender.name for contender in contenders]
    return [
        f"{each.name} {each.identity[:8]}" if names.count(each.name) > 1 else each.name
        for each in contenders
    ]
