"""pipeline evaluate"""

from __future__ import annotations

import signal
from pathlib import Path

import click

from pipeline import api
from pipeline.cli.options import run_argument, uri_option, views_option
from pipeline.shutdown import interrupt_on


@click.command("evaluate", epilog="Example: pipeline evaluate latest --data more_photographs")
@run_argument
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Directory with a sub-directory for each class, or for some, named like the model's "
    "classes; or a table of images with their labels.",
)
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Directory that the paths in a table are relative to. Default: that of the table.",
)
@views_option
@uri_option
def command(run: str, data: Path, images: Path | None, views: int, uri: str | None) -> None:
    """Evaluate a run's model on another dataset.

    Metrics, predictions and report become a child run of that run. Files that cannot be read are
    skipped with a warning."""
    interrupt_on(signal.SIGTERM)  # clusters send it
    click.echo(api.load(run, tracking_uri=uri).evaluate(data, images=images, views=views))
