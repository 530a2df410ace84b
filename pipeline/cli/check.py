"""pipeline check"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import click

from pipeline import api
from pipeline.cli.options import html_option, json_option, recipe_argument, set_option


@click.command("check", epilog="Example: pipeline check recipe.yaml --html check.html")
@recipe_argument
@set_option
@html_option("Also write a page with images as the model takes them, and charts.")
@json_option
def command(recipe: Path, overrides: tuple[str, ...], page: Path | None, as_json: bool) -> None:
    """Find out whether a recipe can learn, before a long training.

    Trains for a few steps in several ways: can the model learn 50 examples by heart, from which
    learning rate on does training diverge, does each layer get a gradient, and how long will a run
    take? Nothing is logged or saved.
    """
    with contextlib.redirect_stdout(sys.stderr):  # Keras prints messages to stdout
        checked = api.check(recipe, overrides, page=page)
    click.echo(json.dumps(checked.to_dict(), ensure_ascii=False) if as_json else str(checked))
