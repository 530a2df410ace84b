"""pipeline run"""

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
from pipeline.cli.options import interrupt, json_option, recipe_argument, set_option
from pipeline.errors import UsageError, escape_unprintable
from pipeline.stopwatch import Stopwatch

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from pipeline.workflows.multi_seed import SeedsResult
    from pipeline.workflows.single_run import RunResult


@click.command("run", epilog="Example: pipeline run recipe.yaml --set training.epochs=3")
@recipe_argument
@set_option
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
@json_option
def command(
    recipe: Path,
    overrides: tuple[str, ...],
    resume: str | None,
    seeds: int | None,
    as_json: bool,
) -> None:
    """Train, evaluate and log the model of a recipe.

    With --seeds, each seed is a child run of one parent run. The first seed is the recipe's."""
    from pipeline.recipe.loader import load_recipe

    if seeds and resume:
        raise UsageError(
            "--seeds and --resume exclude each other. To resume one run of several seeds, use "
            "--set seed=SEED --resume RUN."
        )
    loaded = load_recipe(recipe, overrides)
    for warning in loaded.warnings:
        logger.warning(str(warning))
    stopwatch = Stopwatch()
    with stopwatch.stage("import"), quiet_imports():
        from pipeline.workflows.multi_seed import run_seeds
        from pipeline.workflows.single_run import run
    signal.signal(signal.SIGTERM, interrupt)  # clusters send it
    result: RunResult | SeedsResult
    with contextlib.redirect_stdout(sys.stderr):  # Keras prints messages to stdout
        if seeds:
            result = several = run_seeds(recipe, overrides, seeds)
            summary = _summary_of_seeds(several)
        else:
            result = single = run(loaded, resume=resume, stopwatch=stopwatch)
            summary = _summary(single)
    as_object = json.dumps(dataclasses.asdict(result), ensure_ascii=False)
    click.echo(as_object if as_json else summary)


def _summary(result: RunResult) -> str:
    """Return the result for people: the main metrics, and where to find the rest."""
    lines = [f"{result.name}: best epoch {result.best_epoch} of {result.epochs}"]
    for split, images in result.images.items():
        shown = [
            _figure(result.metrics, f"{split}_{name}", label=name)
            for name in ("accuracy", "f1_macro", "log_loss")
            if f"{split}_{name}" in result.metrics
        ]
        if shown:
            role = "  (chose the epoch)" if split == "val" else "  (evaluated once, at the end)"
            lines.append(f"  {split:<5} {'  '.join(shown)}  on {images:,} images{role}")
    if result.quarantined:
        lines.append(
            f"  {len(result.quarantined)} files left out: "
            f"{escape_unprintable(', '.join(result.quarantined))}"
        )
    spent = "  ".join(f"{stage} {seconds:.1f}" for stage, seconds in result.seconds.items())
    lines.append(f"  {sum(result.seconds.values()):.1f} seconds: {spent}")
    lines.append(f"  run {result.run_id} in {result.tracking_uri}")
    lines.append(f"  model {result.model_uri}")
    lines.append("View it with: pipeline ui")
    return "\n".join(lines)


def _summary_of_seeds(result: SeedsResult) -> str:
    lines = [f"{result.name}: {len(result.runs)} seeds"]
    for name in ("accuracy", "f1_macro", "log_loss"):
        for split in ("val", "test"):
            spread = result.metrics.get(f"{split}_{name}")
            if spread:
                lines.append(
                    f"  {f'{split}_{name}':<13} mean {spread.mean:.4f} ({spread.low:.3f} to "
                    f"{spread.high:.3f}), standard deviation {spread.std:.4f}"
                )
    for single in result.runs:
        accuracy = single.metrics["val_accuracy"]
        lines.append(f"  run {single.run_id}  val_accuracy {accuracy:.4f}")
    lines.append(f"  under {result.parent_run_id} in {result.tracking_uri}")
    lines.append("View them with: pipeline ui")
    return "\n".join(lines)


def _figure(metrics: dict[str, float], name: str, *, label: str) -> str:
    """Return a metric with its interval, if it has one."""
    shown = f"{label} {metrics[name]:.4f}"
    if f"{name}_low" in metrics:
        shown += f" ({metrics[f'{name}_low']:.3f} to {metrics[f'{name}_high']:.3f})"
    return shown
