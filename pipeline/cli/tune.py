"""pipeline tune"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
import sys
from pathlib import Path

import click

from pipeline import api
from pipeline.cli.options import (
    cluster_option,
    json_option,
    recipe_argument,
    set_option,
    with_cluster,
    workers_option,
)
from pipeline.shutdown import interrupt_on


@click.command("tune", epilog="Example: pipeline tune recipe.yaml --workers 4")
@recipe_argument
@set_option
@cluster_option
@workers_option("Number of trials at a time on each machine.")
@click.option("--resume", metavar="RUN", help="Resume the interrupted search RUN.")
@click.option(
    "--new", "start_new", is_flag=True, help="Start a new search, ignoring unfinished ones."
)
@json_option
def command(
    recipe: Path,
    overrides: tuple[str, ...],
    cluster: str | None,
    workers: int,
    resume: str | None,
    start_new: bool,
    as_json: bool,
) -> int:
    """Tune the hyperparameters of a recipe.

    Every trial is a child run of the run of the search. The best recipe is then trained in full.
    An interrupted search is resumed; finished trials are not repeated.
    """
    interrupt_on(signal.SIGTERM)  # clusters send it
    with contextlib.redirect_stdout(sys.stderr):  # Keras prints messages to stdout
        result = api.tune(
            recipe,
            with_cluster(overrides, cluster),
            workers=workers,
            resume=resume,
            start_new=start_new,
        )
    if as_json:
        searched = dataclasses.asdict(result)
        final = searched.pop("final")
        seconds = {"search": result.seconds, **final["seconds"]}
        click.echo(json.dumps({**final, **searched, "seconds": seconds}, ensure_ascii=False))
    else:
        click.echo(str(result))
    return result.final.exit_code
