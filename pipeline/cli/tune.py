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
from pipeline.cli.options import json_option, recipe_argument, set_option
from pipeline.shutdown import interrupt_on


@click.command("tune", epilog="Example: pipeline tune recipe.yaml --workers 4")
@recipe_argument
@set_option
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of processes that run trials.",
)
@click.option("--resume", metavar="RUN", help="Resume the interrupted search RUN.")
@click.option(
    "--new", "start_new", is_flag=True, help="Start a new search, ignoring unfinished ones."
)
@json_option
def command(
    recipe: Path,
    overrides: tuple[str, ...],
    workers: int,
    resume: str | None,
    start_new: bool,
    as_json: bool,
) -> int:
    """Tune the hyperparameters of a recipe.

    Every trial is a child run of the run of the search. The best recipe is then trained in full.
    An interrupted search is resumed; finished trials are not repeated.

    To use several machines, start the same command on each. On all of them, set
    KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT to the chief's address and PIPELINE_SEARCH_KEY
    to a shared secret. Set KERASTUNER_TUNER_ID to "chief" on one and to a different name on each
    other machine.
    """
    from pipeline.tuning.worker_role import worker_role

    role = worker_role()
    interrupt_on(signal.SIGTERM)  # clusters send it
    if role and not role.is_chief:
        with contextlib.redirect_stdout(sys.stderr):  # Keras prints messages to stdout
            count = api.work(recipe, overrides, role)
        click.echo(json.dumps({"trials": count}) if as_json else f"Ran {count} trials")
        return 0
    with contextlib.redirect_stdout(sys.stderr):
        result = api.tune(recipe, overrides, workers=workers, resume=resume, start_new=start_new)
    if as_json:
        searched = dataclasses.asdict(result)
        final = searched.pop("final")
        seconds = {"search": result.seconds, **final["seconds"]}
        click.echo(json.dumps({**final, **searched, "seconds": seconds}, ensure_ascii=False))
    else:
        click.echo(str(result))
    return result.final.exit_code
