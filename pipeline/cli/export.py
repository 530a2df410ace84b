"""pipeline export"""

from __future__ import annotations

import contextlib
import logging
import sys
from pathlib import Path

import click

from pipeline import api
from pipeline.backend import quiet_imports
from pipeline.cli.options import run_argument, uri_option
from pipeline.errors import ModelError
from pipeline.export.formats import FORMATS, check_installed

logger = logging.getLogger(__name__)


@click.command("export", epilog="Example: pipeline export latest --format onnx -o exports")
@run_argument
@click.option(
    "--format",
    "formats",
    type=click.Choice(list(FORMATS)),
    multiple=True,
    required=True,
    help="Export format. Repeatable.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("exports"),
    show_default=True,
    help="Directory to write to.",
)
@click.option(
    "--images",
    multiple=True,
    metavar="PATH",
    help="Images, or tables of numbers, to verify the export on. Default: the run's validation "
    "images, else its test or training images. Repeatable.",
)
@uri_option
def command(
    run: str, formats: tuple[str, ...], output: Path, images: tuple[str, ...], uri: str | None
) -> int:
    """Export a run's model for other runtimes.

    Each format gets its own directory, with the class names and the input in interface.json.
    Each export is loaded and compared with the Keras model, and the comparison is logged as metrics
    of the run. If a prediction differs, the exit code is 1."""
    with quiet_imports():
        from pipeline.export import verification_images
        from pipeline.export.exporter import export_model
        from pipeline.tracking.lookup import recipe_of
        from pipeline.tracking.run_logger import log_metrics_after_end
    from pipeline.recipe.loader import load_recipe

    formats = tuple(dict.fromkeys(formats))
    for name in formats:
        check_installed(name)
    model = api.load(run, tracking_uri=uri)
    with contextlib.redirect_stdout(sys.stderr):
        if images:
            examples = verification_images.images_from_files(images, model.classifier.interface)
        else:
            with recipe_of(model.store, model.stored) as recipe:
                examples = verification_images.images_from_source(load_recipe(recipe).recipe.data)
        results = []
        for name in formats:
            logger.info(f"Exporting to {name}")
            try:
                path = output / model.name / name
                results.append(export_model(model.keras_classifier, name, path, examples))
            except ModelError as error:  # the other formats may succeed
                logger.error(f"{error}")
    metrics = {f"export/{r.format}/{name}": r.metrics[name] for r in results for name in r.metrics}
    log_metrics_after_end(model.store, model.run_id, metrics)
    unit = model.classifier.interface.unit.removesuffix("s")
    for result in results:
        click.echo(
            f"{result.format:<12} {result.size / 1e6:7.1f} MB {result.milliseconds:7.1f} ms/{unit}"
            f"   {result.same_labels} of {result.images} predictions as in Keras, outputs"
            f" within {result.max_difference:.1g}   {result.path}"
        )
    is_verified = len(results) == len(formats) and all(result.agrees for result in results)
    return 0 if is_verified else 1
