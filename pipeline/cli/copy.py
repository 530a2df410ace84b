"""pipeline copy"""

from __future__ import annotations

from pathlib import Path

import click


@click.command("copy")
@click.argument("name")
@click.argument("destination", type=click.Path(path_type=Path), default=Path())
def command(name: str, destination: Path) -> None:
    """Copy a recipe that comes with the package.

    DESTINATION is a directory or the path of the new file. Default: the working directory.

    \b
    Example:
      pipeline copy digits_lenet my_recipe.yaml
    """
    from pipeline.recipe import shipped

    click.echo(shipped.copy_shipped(name, destination))
