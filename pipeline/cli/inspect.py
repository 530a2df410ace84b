"""pipeline inspect"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import click

from pipeline import api
from pipeline.cli.options import html_option, json_option, set_option


@click.command("inspect", epilog="Example: pipeline inspect photographs --html photographs.html")
@click.argument("path", type=click.Path(path_type=Path), metavar="FOLDER|RECIPE")
@set_option
@html_option("Also write a page with pictures: each class, duplicates and augmented images.")
@json_option
def command(path: Path, overrides: tuple[str, ...], page: Path | None, as_json: bool) -> None:
    """Show what is in a directory of images, or in the data of a recipe.

    Counts classes, splits, sizes and formats, and finds damaged files, duplicates and imbalance.
    Problems are reported, whatever they are; nothing is trained.
    """
    with contextlib.redirect_stdout(sys.stderr):  # Keras prints messages to stdout
        inspection = api.inspect(path, overrides, page=page)
    click.echo(json.dumps(inspection.to_dict(), ensure_ascii=False) if as_json else str(inspection))
