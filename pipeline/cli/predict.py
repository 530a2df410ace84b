"""pipeline predict"""

from __future__ import annotations

import contextlib
import csv
import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import click

from pipeline import api
from pipeline.backend import quiet_imports
from pipeline.cli.options import run_argument, uri_option, views_option
from pipeline.cli.prediction_columns import PredictionColumns
from pipeline.errors import UsageError
from pipeline.inference.input_files import check_existence

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
    "--confidence-level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="LEVEL",
    help="Add the set of classes that contains the true one with this probability, such as 0.9.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write the table to this file."
)
@views_option
@uri_option
def command(
    run: str,
    paths: tuple[str, ...],
    top: int,
    confidence_level: float | None,
    views: int,
    output: Path | None,
    uri: str | None,
) -> int:
    """Predict images, or the rows of a table.

    PATH is an image, a directory of images or a pattern; for a model of numbers, a table with a
    column for each of them. The result is a CSV table with one row per image or row, on standard
    output or in the file of --output. The column `unknown` says whether an image
    is too far from the training images to be of one of the classes. For a model of images with
    several labels, the column `classes` has those of an image, joined with |. A file that cannot be
    read gets a row with an error, and the exit code is 1."""
    if views > 1 and confidence_level is not None:
        raise UsageError(
            "--views and --confidence-level cannot be used together: the prediction sets are "
            "calibrated for the outputs of single images. Leave out one of them."
        )
    check_existence(paths)
    with quiet_imports():
        from pipeline.inference.batch_prediction import predict
        from pipeline.inference.model_inputs import find_inputs, input_reader
        from pipeline.progress_bar import show_progress

    model = api.load(run, tracking_uri=uri)
    interface = model.classifier.interface
    items = find_inputs(paths, interface)
    are_rows = interface.feature_names is not None
    unit = "rows" if are_rows else "images"
    threshold = None if confidence_level is None else interface.set_threshold(confidence_level)
    logger.info(f"Using the model of run {model.name} ({model.run_id})")
    classifier = model.classifier
    if views > 1:
        with quiet_imports():
            from pipeline.workflows.view_averaging import view_averaging

        classifier = view_averaging(model.store, model.stored, views)(classifier)
    with _opened(output) as file:
        table = csv.writer(file, lineterminator="\n")
        columns = PredictionColumns(interface, top, threshold, views)
        table.writerow(["file", *["line"] * are_rows, *columns.names, "error"])
        started = time.monotonic()
        errors = unknown = 0
        predictions = predict(classifier, items, input_reader(interface))
        for prediction in show_progress(predictions, len(items), "predicting"):
            item = prediction.item
            where = [os.fspath(item.path), *[str(item.line)] * are_rows]
            table.writerow([*where, *columns.cells(prediction), prediction.error])
            errors += bool(prediction.error)
            unknown += bool(prediction.is_unknown)
    seconds = time.monotonic() - started
    rate = len(items) / seconds
    logger.info(f"Predicted {len(items):,} {unit} in {seconds:.1f} s ({rate:,.0f} {unit}/s)")
    if unknown:
        logger.info(
            f"{unknown:,} images are probably of none of the classes. See the column `unknown`."
        )
    if errors:
        logger.warning(f"{errors:,} {unit} could not be read. See the column `error`.")
    return 1 if errors else 0


@contextlib.contextmanager
def _opened(path: Path | None) -> Iterator[TextIO]:
    """Open a file that replaces the one at `path` once the block has ended without an error."""
    if path is None:
        yield sys.stdout
        return
    is_device = path.exists() and not path.is_file()  # such as a pipe
    scratch = path if is_device else path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with scratch.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            yield file
        if not is_device:
            scratch.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None
    finally:
        if not is_device:
            scratch.unlink(missing_ok=True)
