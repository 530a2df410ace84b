"""pipeline show"""

from __future__ import annotations

import json
from pathlib import Path

import click

from pipeline.api import read_recipe
from pipeline.cli.options import json_option, recipe_argument, set_option


@click.command("show", epilog="Example: pipeline show recipe.yaml --set training.epochs=3")
@recipe_argument
@set_option
@json_option
def command(recipe: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Print a recipe with all defaults."""
    from pipeline.recipe.loader import dump_recipe, masked_values

    loaded = read_recipe(recipe, overrides)
    if as_json:
        click.echo(json.dumps(masked_values(loaded.recipe, loaded.secrets), ensure_ascii=False))
    else:
        click.echo(dump_recipe(loaded.recipe, loaded.secrets), nl=False)
