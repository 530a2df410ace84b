"""pipeline validate"""

from __future__ import annotations

import logging
from pathlib import Path

import click

from pipeline.cli.options import set_option
from pipeline.errors import RecipeError, UsageError

logger = logging.getLogger(__name__)


@click.command("validate")
@click.argument(
    "recipes", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RECIPE…"
)
@set_option
def command(recipes: tuple[Path, ...], overrides: tuple[str, ...]) -> int:
    """Name every problem of recipes.

    All problems of every RECIPE at once, each with file:line:column."""
    from pipeline.recipe.loader import load_recipe

    exit_code = 0
    for path in recipes:
        try:
            loaded = load_recipe(path, overrides)
        except RecipeError as error:
            exit_code = error.exit_code
            for problem in error.problems:
                logger.info(str(problem))
        except UsageError as error:
            exit_code = error.exit_code
            logger.info(str(error))
        else:
            for warning in loaded.warnings:
                logger.info(str(warning))
            click.echo(f"{path}: valid")
    return exit_code
