"""pipeline copy"""

from __future__ import annotations

from pathlib import Path

import click


@click.command("copy")
@click.argument("name")
@click.argument("destination", type=click.Path(path_type=Path), default=Path())
def command(name: str, destination: Path) -> None:
    """Copy a shipped recipe, to change it.

    Writes the recipe NAME to DESTINATION, which is a folder, or the path of the new file; the
    working folder unless given.
    """
    from pipeline.recipe import shipped

    click.echo(shipped.copy_shipped(name, destination))
