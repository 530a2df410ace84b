"""pipeline predict"""

from __future__ import annotations

import contextlib
import csv
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

import click

from pipeline import api
from pipeline.addresses import is_remote
from pipeline.backend import quiet_imports
from pipeline.cli.options import run_argument, uri_option, views_option, workers_option
from pipeline.errors import UsageError
from pipeline.inference.input_files import check_existence
from pipeline.inference.input_shards import list_shards, source_columns
from pipeline.inference.prediction_columns import PredictionColumns
from pipeline.inference.prediction_counts import PredictionCounts
from pipeline.inference.shard_items import shard_items
from pipeline.tasks.table_column import CellValue, TableColumn
from pipeline.workflows.averaged_outputs import check_views

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
    "-o",
    "--output",
    metavar="PATH",
    help="Write the table to this file, as Parquet if it ends in .parquet; or to a directory, "
    "which ends in / or is an address such as s3://bucket/predictions/, a Parquet file for each "
    "shard of the input.",
)
@click.option(
    "--column", metavar="NAME", help="Column of the images in tables. Default: the usual names."
)
@views_option
@click.option(
    "--cluster",
    default="local",
    show_default=True,
    metavar="ADDRESS",
    help="Where to predict to a directory: local, auto for the Ray cluster that this machine "
    "belongs to, or ray://HOST:PORT.",
)
@workers_option("Number of shards at a time on each machine, to predict to a directory.")
@uri_option
def command(
    run: str,
    paths: tuple[str, ...],
    top: int,
    confidence_level: float | None,
    views: int,
    output: str | None,
    column: str | None,
    cluster: str,
    workers: int,
    uri: str | None,
) -> int:
    """Predict images, or the rows of a table.

    PATH is an image, a directory of images, a tar file of images (as WebDataset has them), a table
    of images, or a pattern such as shards-{000..099}.tar, on this machine or at an address such as
    s3://bucket/photographs/. For a model of numbers, it is a table with a column for each of them.
    A table of images has their paths, addresses or bytes in a column. The result is a table with
    one row per image or row: CSV on standard output, or what --output says. In a directory, a
    prediction that was interrupted is resumed by the same command. The column `unknown` says
    whether an image is too far from the training images to be of one of the classes. For a model of
    images with several labels, the column `classes` has those of an image, in CSV joined with |. A
    file that cannot be read gets a row with an error, and the exit code is 1."""
    check_views(views, confidence_level)
    if output is not None and _is_directory(output):
        result = api.predict(
            run,
            paths,
            output,
            top=top,
            confidence_level=confidence_level,
            views=views,
            column=column,
            cluster=cluster,
            workers=workers,
            tracking_uri=uri,
        )
        logger.info(f"{output} has {result.counts.rows:,} predictions in {result.parts:,} parts.")
        return _report(result.counts, result.rows, result.seconds, result.unit)
    if cluster != "local" or workers > 1:
        raise UsageError(
            "--cluster and --workers need a directory that the processes write to. Add --output "
            "with a directory that ends in /, or an address such as s3://bucket/predictions/."
        )
    check_existence(paths)
    with quiet_imports():
        from pipeline.inference.batch_prediction import predict
        from pipeline.inference.model_inputs import input_reader
        from pipeline.progress_bar import show_progress

    model = api.load(run, tracking_uri=uri)
    classifier = model.classifier
    interface = classifier.interface
    shards = list_shards(paths, interface, column=column)
    threshold = interface.set_threshold(confidence_level)
    logger.info(f"Using the model of run {model.name} ({model.run_id})")
    if views > 1:
        with quiet_imports():
            from pipeline.workflows.view_averaging import view_averaging

        classifier = view_averaging(model.store, model.stored, views)(classifier)
    items = (
        item
        for shard in shards
        for item in shard_items(shard, takes_numbers=interface.takes_numbers)
    )
    counts, started = PredictionCounts(), time.monotonic()
    predictions = counts.counted(predict(classifier, items, input_reader(interface)))
    sizes = [shard.count for shard in shards]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    columns = PredictionColumns(interface, source_columns(shards, interface), top, threshold, views)
    rows = map(columns.cells, show_progress(predictions, total, "predicting"))
    if output is not None and output.endswith(".parquet"):
        with quiet_imports():
            from pipeline.inference.prediction_parquet import write_parquet

        with _replaced(Path(output)) as path, path.open("wb") as file:
            write_parquet(file, columns.columns(), rows)
    elif output is not None:
        with (
            _replaced(Path(output)) as path,
            path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
        ):
            _write_csv(file, columns.columns(), rows)
    else:
        _write_csv(sys.stdout, columns.columns(), rows)
    return _report(counts, counts.rows, time.monotonic() - started, interface.unit)


def _write_csv(
    file: TextIO, columns: Sequence[TableColumn], rows: Iterable[Sequence[CellValue]]
) -> None:
    table = csv.writer(file, lineterminator="\n")
    table.writerow([column.name for column in columns])
    for cells in rows:
        table.writerow([c.text(cell) for c, cell in zip(columns, cells, strict=True)])


def _report(counts: PredictionCounts, rows: int, seconds: float, unit: str) -> int:
    """Say what came of predictions, and return the exit code.

    Args:
        counts: of all predictions.
        rows: how many were made now.
        seconds: that these took.
        unit: what they are of, `images` or `rows`.
    """
    speed = f"{seconds:.1f} s ({rows / seconds:,.0f} {unit}/s)"
    logger.info(f"Predicted {_count(rows, unit)} in {speed}")
    if counts.unknown:
        verb = "is" if counts.unknown == 1 else "are"
        logger.info(
            f"{_count(counts.unknown, unit)} {verb} probably of none of the classes. See the "
            "column `unknown`."
        )
    if counts.errors:
        unread = _count(counts.errors, unit)
        logger.warning(f"{unread} could not be read. See the column `error`.")
    return 1 if counts.errors else 0


def _count(number: int, unit: str) -> str:
    return f"{number:,} {unit.removesuffix('s') if number == 1 else unit}"


def _is_directory(output: str) -> bool:
    return is_remote(output) or output.endswith("/") or Path(output).is_dir()


@contextlib.contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """Yield a file that replaces the one at `path` once the block has ended without an error."""
    is_device = path.exists() and not path.is_file()  # such as a pipe
    scratch = path if is_device else path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield scratch
        if not is_device:
            scratch.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None
    finally:
        if not is_device:
            scratch.unlink(missing_ok=True)
