"""pipeline show"""

from __future__ import annotations

import json
from pathlib import Path

import click

from pipeline.cli.options import recipe_argument, say, set_option


@click.command("show")
@recipe_argument
@set_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(recipe: Path, substitutions: tuple[str, ...], as_json: bool) -> None:
    """Print a recipe with its defaults."""
    from pipeline.recipe.load import dump, load, shown

    loaded = load(recipe, substitutions)
    for warning in loaded.warnings:
        say(str(warning))
    if as_json:
        click.echo(json.dumps(shown(loaded.recipe, loaded.secrets), ensure_ascii=False))
    else:
        click.echo(dump(loaded.recipe, loaded.secrets), nl=False)
