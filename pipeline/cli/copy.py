"""pipeline copy"""

from __future__ import annotations

from pathlib import Path

import click


@click.command("copy", epilog="Example: pipeline copy digits_lenet my_recipe.yaml")
@click.argument("name")
@click.argument("destination", type=click.Path(path_type=Path), default=Path())
def command(name: str, destination: Path) -> None:
    """Copy a recipe that comes with the package.

    DESTINATION is a directory or the path of the new file. Default: the working directory.
    """
    from pipeline.recipe import shipped

    click.echo(shipped.copy_shipped(name, destination))
