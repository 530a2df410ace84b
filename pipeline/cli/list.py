"""pipeline list"""

from __future__ import annotations

import click


@click.command("list", epilog="Example: pipeline list")
def command() -> None:
    """List the recipes that come with the package."""
    from pipeline.recipe.shipped import description_of, shipped_recipes

    recipes = shipped_recipes()
    width = max(map(len, recipes), default=0)
    group = ""
    for name, path in recipes.items():
        if name.rpartition("/")[0] != group:
            group = name.rpartition("/")[0]
            click.echo()
        click.echo(f"{name:<{width}}  {description_of(path)}")
