"""Writes a recipe that fits a directory of images."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.data.dataset_findings import describe_file_findings
from pipeline.data.dataset_statistics import DatasetStatistics
from pipeline.data.image_folder import ImageFolderConfig
from pipeline.errors import DataError, UsageError, escape_unprintable
from pipeline.html_table import html_table
from pipeline.recipe.data_choices import Choice
from pipeline.recipe.starter_choices import check_network, choose_values
from pipeline.recipe.starter_recipe import render_recipe, write_recipe
from pipeline.workflows.data_inspection import inspect_source

_SHOWN_CLASSES = 5


@dataclass(frozen=True)
class CreatedRecipe:
    """A recipe that was written.

    Attributes:
        path: of its file.
        choices: its values, each with the reason.
        findings: what is worth a look in the files, in sentences.
    """

    path: Path
    choices: tuple[Choice, ...]
    findings: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"Wrote {self.path}. A comment in it gives the reason for each value."]
        if self.findings:
            lines += ["Findings:", *(f"- {finding}" for finding in self.findings)]
        lines.append(f"Next: {_run_command(self.path)}")
        return "\n".join(map(escape_unprintable, lines))

    def _repr_html_(self) -> str:
        rows = [(choice.key, str(choice.value), choice.reason) for choice in self.choices]
        return html_table(str(self.path), ("key", "value", "reason"), rows, notes=self.findings)


def init(
    folder: Path,
    output: Path,
    *,
    base: str | None = None,
    weights: Path | None = None,
    force: bool = False,
) -> CreatedRecipe:
    """Write a recipe that fits a directory of images.

    Args:
        folder: the directory.
        output: the file of the recipe.
        base: the pretrained network, a name in keras.applications or the path of a .keras file;
            None to choose.
        weights: the file of its weights; None for those of ImageNet.
        force: whether an existing file is replaced.

    Raises:
        UsageError: if the file exists, or an argument is invalid.
        DataError: if the directory cannot be used as data.
    """
    if os.path.lexists(output) and not force:
        raise UsageError(
            f"{output} already exists. Choose another file with --output, or replace it with "
            "--force."
        )
    if not folder.exists():
        raise UsageError(f"The directory {folder} does not exist.")
    if not folder.is_dir():
        raise UsageError(
            f"Expected a directory of images. Received a file, {folder}. If it is a table of "
            "labels, write a recipe with data.source: table; if it is an archive, extract it first."
        )
    network = check_network(base, weights)
    source = ImageFolderConfig(source="image_folder", path=folder)
    statistics = inspect_source(source).statistics
    choices = starter_choices(statistics, folder, base=network, weights=weights)
    title = _title(statistics, folder, output)
    text = render_recipe(choices, title=title, directory=output.absolute().parent)
    write_recipe(text, output)
    return CreatedRecipe(output, choices, tuple(describe_file_findings(statistics)))


def starter_choices(
    statistics: DatasetStatistics,
    folder: Path,
    *,
    base: str | Path | None = None,
    weights: Path | None = None,
) -> tuple[Choice, ...]:
    """Return all values of a recipe for a directory.

    Raises:
        DataError: if a class has no image, or a split cannot be used.
    """
    _check_classes(statistics, folder)
    return (
        Choice("name", folder.resolve().name or "images"),
        Choice("data.source", "image_folder"),
        Choice("data.path", folder, "A relative path starts from the directory of this file."),
        *choose_values(statistics, base=base, weights=weights),
    )


def _check_classes(statistics: DatasetStatistics, folder: Path) -> None:
    counts = statistics.class_counts
    empty = [name for name, count in zip(statistics.class_names, counts, strict=True) if not count]
    if empty:
        raise DataError(
            f"No image of these classes in {folder} can be decoded: {_few(empty)}. Add images, or "
            "move these directories elsewhere."
        )
    if statistics.problems:
        raise DataError(statistics.problems[0])


def _title(statistics: DatasetStatistics, folder: Path, output: Path) -> Sequence[str]:
    counts = zip(statistics.class_names, statistics.class_counts, strict=True)
    classes = _few([f"{name} {count:,}" for name, count in counts])
    return (
        f"Written by `pipeline init` for {statistics.images:,} images of "
        f"{len(statistics.class_names)} classes in {folder}: {classes}.",
        "",
        _run_command(output),
    )


def _run_command(recipe: Path) -> str:
    return shlex.join(["pipeline", "run", str(recipe)])


def _few(texts: Sequence[str]) -> str:
    shown = ", ".join(texts[:_SHOWN_CLASSES])
    more = len(texts) - _SHOWN_CLASSES
    return f"{shown} and {more:,} more" if more > 0 else shown
