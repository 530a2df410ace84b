"""Inspects the data of a directory or of a recipe."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from pipeline.data.dataset_findings import describe_findings
from pipeline.data.dataset_inspection import InspectedFiles, inspect_listing, inspect_splits
from pipeline.data.dataset_statistics import DatasetStatistics, Spread
from pipeline.data.file_root import FileRoot
from pipeline.data.file_source import FileSourceConfig
from pipeline.data.file_walk import walk_files
from pipeline.data.image_folder import ImageFolderConfig
from pipeline.data.listing import Listing
from pipeline.data.splits import Splits, describe_ignored
from pipeline.errors import DataError, escape_unprintable
from pipeline.html_table import html_table
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.loader import load_recipe
from pipeline.recipe.overrides import Overrides

_MAX_CLASSES = 40  # in the table of a terminal


@dataclass(frozen=True)
class Inspection:
    """What is known of the data of a directory or of a recipe.

    Attributes:
        path: the directory or the recipe.
        statistics: of the data.
        findings: what is worth a look, in sentences.
        recipe: None for a directory.
        files: the images, if they are files.
        splits: the images, if they are in memory.
    """

    path: Path
    statistics: DatasetStatistics
    findings: tuple[str, ...]
    recipe: Recipe | None = field(default=None, repr=False)
    files: InspectedFiles | None = field(default=None, repr=False)
    splits: Splits | None = field(default=None, repr=False)

    @property
    def summary(self) -> str:
        """Images and classes, in words."""
        unit = "images" if self.statistics.features is None else "examples"
        classes = len(self.statistics.class_names)
        if not self.statistics.has_classes:
            return f"{self.statistics.images:,} {unit}"
        plural = "" if classes == 1 else "es"
        return f"{self.statistics.images:,} {unit} of {classes:,} class{plural}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        statistics = dataclasses.asdict(self.statistics)
        counts = statistics.pop("counts")
        names = statistics.pop("class_names")
        classes = {
            name: {split: counts[split][label] for split in counts}
            for label, name in enumerate(names)
        }
        return {
            "path": str(self.path),
            "images": self.statistics.images,
            "classes": classes,
            "imbalance": self.statistics.imbalance,
            "findings": list(self.findings),
            **statistics,
        }

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.summary}", "", *_class_table(self.statistics), ""]
        rows = list(describe_statistics(self.statistics))
        width = max(len(name) for name, _ in rows)
        lines += [f"{name:<{width}}  {value}" for name, value in rows]
        if self.findings:
            lines += ["", "Findings:", *(f"- {finding}" for finding in self.findings)]
        return "\n".join(map(escape_unprintable, lines))

    def _repr_html_(self) -> str:
        header = ("class", *self.statistics.counts)
        rows = [tuple(map(str, row)) for row in class_rows(self.statistics)]
        facts = [f"{name}: {value}" for name, value in describe_statistics(self.statistics)]
        title = f"{self.path}: {self.summary}"
        return html_table(title, header, rows, notes=[*facts, *self.findings])


def inspect(path: Path, overrides: Overrides = ()) -> Inspection:
    """Inspect the data of a directory or of a recipe.

    Args:
        path: a directory of images, or the file of a recipe.
        overrides: of the recipe.

    Raises:
        UsageError: if there is nothing at the path.
        RecipeError: if the recipe has errors.
        DataError: if the images of the recipe cannot be loaded.
    """
    if path.is_dir():
        files = inspect_folder(path)
        return _inspection(path, files.statistics, files=files)
    recipe = load_recipe(path, overrides).recipe
    source = recipe.data
    if isinstance(source, FileSourceConfig):
        files = inspect_source(source)
        return _inspection(path, files.statistics, recipe=recipe, files=files)
    splits = source.load()
    return _inspection(path, inspect_splits(splits), recipe=recipe, splits=splits)


def inspect_folder(path: Path) -> InspectedFiles:
    """Inspect a directory of images."""
    source = ImageFolderConfig(source="image_folder", path=path)
    try:
        return inspect_source(source)
    except DataError as error:
        return inspect_listing(
            _unsorted_listing(path), fractions={}, split_seed=0, problems=[str(error)]
        )


def inspect_source(source: FileSourceConfig) -> InspectedFiles:
    """Inspect the files of a source, with the splits that a run gives them.

    Raises:
        DataError: if the files are no data set.
    """
    listing = source.list_files()
    fractions = source.fractions(listing.given_splits)
    return inspect_listing(listing, fractions=fractions, split_seed=source.split_seed)


def _unsorted_listing(path: Path) -> Listing:
    """Return all files of a directory that is no data set, with their directories as classes."""
    names = [name for name, is_hidden in walk_files(path) if not is_hidden]
    directories = [PurePath(name).parent.as_posix() for name in names]
    label_of = {name: label for label, name in enumerate(sorted(set(directories)))}
    return Listing(
        root=FileRoot(path),
        names=names,
        class_names=tuple(label_of),
        labels=np.array([label_of[directory] for directory in directories], np.int32),
        splits=np.zeros(len(names), np.int8),
        keys=[PurePath(name).name for name in names],
        groups=None,
    )


def describe_statistics(statistics: DatasetStatistics) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each fact, for people."""
    if statistics.features is not None:
        for name, values in statistics.features.items():
            yield name, _spread(values, ".4g", "")
        yield from _imbalance(statistics)
        return
    sizes = statistics.sizes
    if sizes:
        width, height = sizes.most_common
        yield "width", _spread(sizes.width, ",.0f", "pixels")
        yield "height", _spread(sizes.height, ",.0f", "pixels")
        yield "aspect ratio", _spread(sizes.aspect, ".2f", "(width / height)")
        common = f"{width}×{height}, {sizes.most_common_count:,} images"
        yield "most frequent", common
    yield "formats", _counted(statistics.formats)
    yield "modes", _counted(statistics.modes)
    if statistics.sample_range:
        low, high = statistics.sample_range
        yield "samples", f"up to {statistics.bits} bits, from {low:g} to {high:g}"
    yield "gray", f"{statistics.gray:.0%} of the images"
    yield "unreadable", f"{len(statistics.unreadable):,} files"
    yield "ignored", describe_ignored(statistics.ignored) or "none"
    yield "duplicates", _duplicates(statistics)
    yield from _imbalance(statistics)


def _imbalance(statistics: DatasetStatistics) -> Iterator[tuple[str, str]]:
    if not statistics.has_classes:
        return
    ratio = statistics.imbalance
    yield "imbalance", f"{ratio:.1f} (largest class / smallest)" if ratio else "a class is empty"


def class_rows(statistics: DatasetStatistics) -> list[tuple[str, ...]]:
    """Return the name and the images in each split of each class."""
    columns = [[f"{count:,}" for count in counts] for counts in statistics.counts.values()]
    return list(zip(statistics.class_names, *columns, strict=True)) if columns else []


def _class_table(statistics: DatasetStatistics) -> Iterator[str]:
    splits = list(statistics.counts)
    rows = class_rows(statistics)
    totals = [f"{statistics.totals[split]:,}" for split in splits]
    titles = [
        split if split in ("train", *statistics.given) else f"{split} (drawn)" for split in splits
    ]
    shown = [
        ("class" if statistics.has_classes else "", *titles),
        *rows[:_MAX_CLASSES],
        ("total", *totals),
    ]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for number, row in enumerate(shown):
        if number == len(shown) - 1 and len(rows) > _MAX_CLASSES:
            yield f"… and {len(rows) - _MAX_CLASSES:,} more classes"
        cells = (f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        yield "  ".join((f"{row[0]:<{widths[0]}}", *cells))


def _duplicates(statistics: DatasetStatistics) -> str:
    kinds = [copies.kind for copies in statistics.copies]
    counts = {kind: kinds.count(kind) for kind in dict.fromkeys(sorted(kinds, reverse=True))}
    return ", ".join(f"{count:,} × {kind}" for kind, count in counts.items()) or "none"


def _counted(counts: Any) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _spread(spread: Spread, form: str, unit: str) -> str:
    low, median, high = (format(v, form) for v in (spread.lowest, spread.median, spread.highest))
    unit = unit and f" {unit}"
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}, median {median}"


def _inspection(path: Path, statistics: DatasetStatistics, **data: Any) -> Inspection:
    return Inspection(path, statistics, tuple(describe_findings(statistics)), **data)
