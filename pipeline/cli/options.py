"""Arguments and options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

recipe_argument = click.argument("recipe", type=click.Path(path_type=Path), metavar="RECIPE")
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="Override a value of the recipe, such as optimizer.learning_rate=3e-4. An empty value "
    "removes the key. Repeatable.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as one JSON object."
)

run_argument = click.argument("run", metavar="RUN")
uri_option = click.option(
    "--uri", help="MLflow tracking URI. Default: MLFLOW_TRACKING_URI or ./mlruns."
)
cluster_option = click.option(
    "--cluster",
    metavar="ADDRESS",
    help="The machines to use: local, auto for the Ray cluster that this machine belongs to, or "
    "ray://HOST:PORT. Default: runtime.cluster of the recipe.",
)


def workers_option(help_text: str) -> Decorator:
    """Return the option `--workers`, which means the same in every command."""
    return click.option(
        "--workers", type=click.IntRange(1), default=1, show_default=True, help=help_text
    )


def html_option(help_text: str) -> Decorator:
    """Return the option `--html`, the file of a page, as the argument `page`."""
    return click.option(
        "--html",
        "page",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help=help_text,
    )


def with_cluster(overrides: tuple[str, ...], cluster: str | None) -> tuple[str, ...]:
    """Return the `--set` arguments with the value of `--cluster`, if there is one."""
    return (*overrides, f"runtime.cluster={cluster}") if cluster else overrides


views_option = click.option(
    "--views",
    default=1,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="Average the outputs over so many views of each image: itself and random ones, by the "
    "augmentation of the recipe.",
)
