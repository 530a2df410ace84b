"""pipeline schema"""

from __future__ import annotations

import json

import click


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of a recipe.

    Editors complete and check recipes by it."""
    from pipeline.recipe.grammar import json_schema

    click.echo(json.dumps(json_schema(), indent=1))
