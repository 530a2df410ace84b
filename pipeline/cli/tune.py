"""pipeline tune"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.backend import quiet_imports
from pipeline.cli.options import interrupt, recipe_argument, set_option

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from pipeline.workflows.hyperparameter_search import TuneResult


@click.command("tune")
@recipe_argument
@set_option
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that run trials at the same time.",
)
@click.option("--resume", metavar="RUN", help="Go on with the search of this run.")
@click.option("--new", "anew", is_flag=True, help="Begin another search, whatever is unfinished.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def command(
    recipe: Path,
    overrides: tuple[str, ...],
    workers: int,
    resume: str | None,
    start_new: bool,
    as_json: bool,
) -> None:
    """Search a recipe's space and train the best.

    Every trial is logged as a run under the run of the search. A search that was interrupted or
    killed goes on where it was; no finished trial is run again.

    Over several machines: set KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT to the chief's
    address everywhere, KERASTUNER_TUNER_ID to chief on one machine and to a name of its own on each
    other, and start the same command on all of them.
    """
    from pipeline.recipe.loader import load_recipe
    from pipeline.tuning.worker_role import worker_role

    loaded = load_recipe(recipe, overrides)
    for warning in loaded.warnings:
        logger.info(str(warning))
    here = worker_role()
    with quiet_imports():
        from pipeline.workflows.hyperparameter_search import tune, work
    signal.signal(signal.SIGTERM, interrupt)  # what clusters send is an interruption too
    with contextlib.redirect_stdout(sys.stderr):  # what Keras prints is not the result
        if here and not here.is_chief:
            count = work(loaded, recipe, here)
        else:
            result = tune(
                loaded,
                recipe,
                workers=workers,
                chief=here,
                resume=resume,
                start_new=start_new,
            )
    if here and not here.is_chief:
        click.echo(json.dumps({"trials": count}) if as_json else f"{count} trials were run here")
    elif as_json:
        final = dataclasses.asdict(result.final)
        searched = {
            field.name: getattr(result, field.name)
            for field in dataclasses.fields(result)
            if field.name not in ("final", "seconds")
        }
        seconds = {"search": result.seconds, **result.final.seconds}
        click.echo(json.dumps({**final, **searched, "seconds": seconds}, ensure_ascii=False))
    else:
        click.echo(_summary(result))


def _summary(result: TuneResult) -> str:
    best, final, objective = result.best, result.final, result.objective
    values = [f"  {path}: {json.dumps(value)}" for path, value in best["values"].items()]
    lines = [
        f"The best of {len(result.trials)} trials in {result.seconds:.1f} seconds is trial "
        f"{best['trial']}: {objective} {best['score']:.4f}",
        *(values or ["  the recipe as it stood"]),
        f"Trained in full: {_figure(final.metrics, objective)}, on {final.images['val']:,} images "
        f"that {len(result.trials)} trials were chosen by: optimistic",
    ]
    tested = objective.replace("val_", "test_")
    if tested in final.metrics:
        lines.append(
            f"  {_figure(final.metrics, tested)}, on {final.images['test']:,} images that were "
            "looked at once: the figure to trust"
        )
    else:
        lines.append("  There is no test split, whose figure could be trusted.")
    lines += [
        f"  recipe {result.recipe}",
        f"  search {result.parent_run_id}, best run {final.run_id} in {final.tracking_uri}",
        f"  model {final.model_uri}",
        "Look at it with: pipeline ui",
    ]
    return "\n".join(lines)


def _figure(metrics: dict[str, float], name: str) -> str:
    """Return a metric with its 95 % interval, if it has one."""
    if name not in metrics:
        return f"{name} of its best epoch"
    shown = f"{name} {metrics[name]:.4f}"
    if f"{name}_low" in metrics:
        shown += f" (95 %: {metrics[f'{name}_low']:.3f} to {metrics[f'{name}_high']:.3f})"
    return shown
