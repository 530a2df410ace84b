"""pipeline show"""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.options import recipe_argument, say, set_option


@click.command("show")
@recipe_argument
@set_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(recipe: Path, substitutions: tuple[str, ...], as_json: bool) -> None:
    """Print a recipe with its defaults."""
    from pipeline.recipe.load import dump, load

    loaded = load(recipe, substitutions)
    for warning in loaded.warnings:
        say(str(warning))
    if as_json:
        click.echo(loaded.recipe.model_dump_json(by_alias=True))
    else:
        click.echo(dump(loaded.recipe), nl=False)
