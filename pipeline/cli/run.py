"""pipeline run"""

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


@click.command("run", epilog="Example: pipeline run recipe.yaml --set training.epochs=3")
@recipe_argument
@set_option
@cluster_option
@click.option(
    "--resume",
    metavar="RUN",
    help="Resume the interrupted run RUN: its id, its name, or latest.",
)
@click.option(
    "--seeds",
    metavar="N",
    type=click.IntRange(min=2),
    help="Train with N seeds, and report mean and standard deviation.",
)
@workers_option("Number of seeds or folds at a time on each machine.")
@json_option
def command(
    recipe: Path,
    overrides: tuple[str, ...],
    cluster: str | None,
    resume: str | None,
    seeds: int | None,
    workers: int,
    as_json: bool,
) -> int:
    """Train, evaluate and log the model of a recipe.

    With --seeds, each seed is a child run of one parent run. The first seed is the recipe's. With
    --seeds N --resume, RUN is the parent: finished seeds are kept."""
    interrupt_on(signal.SIGTERM)  # clusters send it
    overrides = with_cluster(overrides, cluster)
    result: api.RunResult | api.SeedsResult
    with contextlib.redirect_stdout(sys.stderr):  # Keras prints messages to stdout
        if seeds:
            result = api.run_seeds(recipe, overrides, seeds=seeds, workers=workers, resume=resume)
            runs = result.runs
        else:
            result = api.run(recipe, overrides, workers=workers, resume=resume)
            runs = [result]
    as_object = json.dumps(dataclasses.asdict(result), ensure_ascii=False)
    click.echo(as_object if as_json else str(result))
    return max(each.exit_code for each in runs)
