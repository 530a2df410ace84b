"""pipeline export"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.backend import quiet_imports
from pipeline.cli.options import run_argument, uri_option
from pipeline.errors import ModelError
from pipeline.export.formats import FORMATS, check_installed

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from pipeline.export.exporter import Export


@click.command("export")
@run_argument
@click.option(
    "--format",
    "formats",
    type=click.Choice(list(FORMATS)),
    multiple=True,
    required=True,
    help="What to write. Repeatable.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("exports"),
    show_default=True,
    help="The folder to write to.",
)
@click.option(
    "--images",
    multiple=True,
    metavar="PATH",
    help="What to compare on; unless given, the images that the run was validated on. Repeatable.",
)
@uri_option
def command(
    run: str, formats: tuple[str, ...], output: Path, images: tuple[str, ...], uri: str | None
) -> int:
    """Write a run's model for other runtimes.

    Each format goes to a folder of its own, with the names of the classes and how images are read
    beside the model. Each is loaded again and compared with the Keras model on real images, which
    becomes metrics of the run. The exit code is 1 if an image gets another class."""
    with quiet_imports():
        from pipeline.export import comparison_images as comparing
        from pipeline.export.exporter import export
        from pipeline.inference import classifier as classifiers
        from pipeline.inference.input_files import expand_paths
        from pipeline.tracking.lookup import files_of, find_model, recipe_of
        from pipeline.tracking.mlflow_model import DATA
        from pipeline.tracking.run_logger import log_metrics_after_end
        from pipeline.tracking.store import open_store
    from pipeline.recipe.loader import load_recipe

    chosen = tuple(dict.fromkeys(formats))
    for name in chosen:
        check_installed(name)
    files = expand_paths(images)
    store = open_store(uri)
    model = find_model(store, run)
    with files_of(store, model) as folder, contextlib.redirect_stdout(sys.stderr):
        classifier = classifiers.load_classifier(folder / DATA)
        if files:
            pixels = comparing.images_from_files(files, classifier.interface)
        else:
            with recipe_of(store, model) as recipe:
                pixels = comparing.validation_images(load_recipe(recipe).recipe.data)
        exports = []
        for name in chosen:
            logger.info(f"Writing {name}")
            try:
                exports.append(export(classifier, name, output / model.run_name / name, pixels))
            except ModelError as error:  # the other formats may do
                logger.info(f"Error: {error}")
    log_metrics_after_end(store, model.run_id, _metrics(exports))
    for line in _table(exports):
        click.echo(line)
    is_good = len(exports) == len(chosen) and all(exported.agrees for exported in exports)
    return 0 if is_good else 1


def _metrics(exports: Sequence[Export]) -> dict[str, float]:
    return {
        f"export/{exported.format}/{name}": value
        for exported in exports
        for name, value in (
            ("difference", exported.difference),
            ("same_labels", exported.same_labels / exported.images),
            ("milliseconds", exported.milliseconds),
            ("megabytes", exported.size / 1e6),
        )
    }


def _table(exports: Sequence[Export]) -> list[str]:
    return [
        f"{exported.format:<12} {exported.size / 1e6:7.1f} MB {exported.milliseconds:7.1f} ms an "
        f"image   {exported.same_labels} of {exported.images} labels as in Keras, probabilities "
        f"within {exported.difference:.0e}   {exported.path}"
        for exported in exports
    ]
