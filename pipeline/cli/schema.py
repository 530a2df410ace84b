"""pipeline schema"""

from __future__ import annotations

import json

import click


@click.command("schema", epilog="Example: pipeline schema --format markdown")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["json", "markdown"]),
    default="json",
    show_default=True,
    help="json: the JSON Schema, for completion in editors. markdown: a reference for people.",
)
def command(output_format: str) -> None:
    """Print all keys of a recipe."""
    from pipeline.recipe.grammar import json_schema
    from pipeline.recipe.reference import reference

    if output_format == "markdown":
        click.echo(reference(), nl=False)
    else:
        click.echo(json.dumps(json_schema(), indent=1))
