"""pipeline validate"""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.options import say, set_option
from pipeline.errors import RecipeError, UsageError


@click.command("validate")
@click.argument(
    "recipes", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RECIPE…"
)
@set_option
def command(recipes: tuple[Path, ...], substitutions: tuple[str, ...]) -> int:
    """Name every problem of recipes.

    All problems of every RECIPE at once, each with file:line:column."""
    from pipeline.recipe.load import load

    exit_code = 0
    for path in recipes:
        try:
            loaded = load(path, substitutions)
        except RecipeError as error:
            exit_code = error.exit_code
            for problem in error.problems:
                say(str(problem))
        except UsageError as error:
            exit_code = error.exit_code
            say(str(error))
        else:
            for warning in loaded.warnings:
                say(str(warning))
            click.echo(f"{path}: valid")
    return exit_code
