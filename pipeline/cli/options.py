"""Arguments that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

recipe_argument = click.argument("recipe", type=click.Path(path_type=Path), metavar="RECIPE")
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="Replace a value of the recipe, as in optimizer.learning_rate=3e-4. Repeatable.",
)

run_argument = click.argument("run", metavar="RUN")
uri_option = click.option("--uri", help="The store; unless given, the one that runs here go to.")


def interrupt(*_: Any) -> None:
    """Handle a signal as Ctrl-C is handled."""
    raise KeyboardInterrupt
