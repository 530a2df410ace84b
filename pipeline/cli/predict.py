"""pipeline predict"""

from __future__ import annotations

import contextlib
import csv
import logging
import os
import sys
import time
from pathlib import Path
from typing import TextIO

import click

from pipeline import api
from pipeline.backend import quiet_imports
from pipeline.cli.options import run_argument, uri_option
from pipeline.errors import UsageError
from pipeline.inference.input_files import expand_paths

logger = logging.getLogger(__name__)


@click.command(
    "predict", epilog="Example: pipeline predict latest photographs/ --top 3 -o predictions.csv"
)
@run_argument
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option(
    "--top",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="Number of classes per image.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write the table to this file."
)
@uri_option
def command(
    run: str, paths: tuple[str, ...], top: int, output: Path | None, uri: str | None
) -> int:
    """Classify images.

    PATH is an image, a directory of images or a pattern. The result is a CSV table with one row per
    file, on standard output or in the file of --output. A file that cannot be read gets a row with
    an error, and the exit code is 1."""
    files = expand_paths(paths)
    with quiet_imports():
        from pipeline.inference.batch_prediction import predict
        from pipeline.progress_bar import show_progress

    model = api.load(run, tracking_uri=uri)
    logger.info(f"Using the model of run {model.name} ({model.run_id})")
    with _opened(output) as file:
        table = csv.writer(file, lineterminator="\n")
        top = min(top, len(model.class_names))
        columns = [f"{kind}_{n}" for n in range(1, top + 1) for kind in ("class", "probability")]
        table.writerow(["file", *columns, "error"])
        started = time.monotonic()
        errors = 0
        predictions = predict(model.classifier, files, model.classifier.interface.read)
        for prediction in show_progress(predictions, len(files), "predicting"):
            ranked = prediction.top_classes(model.class_names, top)
            cells = [cell for name, value in ranked for cell in (name, f"{value:.6f}")]
            cells = cells or [""] * len(columns)
            table.writerow([os.fspath(prediction.item), *cells, prediction.error])
            errors += bool(prediction.error)
    seconds = time.monotonic() - started
    rate = len(files) / seconds
    logger.info(f"Classified {len(files):,} images in {seconds:.1f} s ({rate:,.0f} images/s)")
    if errors:
        logger.warning(f"{errors:,} files could not be read. See the column `error`.")
    return 1 if errors else 0


def _opened(path: Path | None) -> contextlib.AbstractContextManager[TextIO]:
    if path is None:
        return contextlib.nullcontext(sys.stdout)
    try:
        return path.open("w", encoding="utf-8", errors="surrogateescape", newline="")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None
