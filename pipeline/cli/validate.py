"""pipeline validate"""

from __future__ import annotations

import logging
from pathlib import Path

import click

from pipeline.api import read_recipe
from pipeline.cli.options import set_option
from pipeline.errors import RecipeError, UsageError

logger = logging.getLogger(__name__)


@click.command("validate", epilog="Example: pipeline validate recipe.yaml --set optimizer.name=sgd")
@click.argument(
    "recipes", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RECIPE…"
)
@set_option
def command(recipes: tuple[Path, ...], overrides: tuple[str, ...]) -> int:
    """Check recipes for errors.

    Reports all errors of every RECIPE, each with file:line:column.
    """
    exit_code = 0
    for path in recipes:
        try:
            data = read_recipe(path, overrides).recipe.data
        except (RecipeError, UsageError) as error:
            exit_code = error.exit_code
            click.echo(str(error), err=True)
        else:
            click.echo(f"{path}: valid")
            found = data.describe_files()
            if found:
                logger.info(found)
    return exit_code
