"""pipeline init"""

from __future__ import annotations

from pathlib import Path

import click

from pipeline import api


@click.command("init", epilog="Example: pipeline init photographs -o flowers.yaml")
@click.argument("folder", type=click.Path(path_type=Path), metavar="FOLDER")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("recipe.yaml"),
    show_default=True,
    help="File of the recipe.",
)
@click.option(
    "--base",
    help="Pretrained network: a name in keras.applications, or the path of a .keras file. Default: "
    "by the data.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Weights of the network, a .weights.h5 file. Default: Keras downloads those of ImageNet.",
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def command(
    folder: Path,
    output: Path,
    base: str | None,
    weights: Path | None,
    force: bool,
) -> None:
    """Write a recipe that fits a directory of images.

    Every file is read, nothing is asked, and a comment gives the reason for each value. The recipe
    runs as it is.
    """
    created = api.init(folder, output, base=base, weights=weights, force=force)
    click.echo(str(created))
