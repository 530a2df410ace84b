"""pipeline evaluate"""

from __future__ import annotations

import signal
from pathlib import Path

import click

from pipeline import api
from pipeline.backend import quiet_imports
from pipeline.cli.options import run_argument, uri_option, views_option
from pipeline.shutdown import interrupt_on
from pipeline.tasks.tasks import TASKS


@click.command("evaluate", epilog="Example: pipeline evaluate latest --data more_photographs")
@run_argument
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Directory with a sub-directory for each class, or for some, named like the model's "
    "classes; or a table of images with their labels.",
)
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Directory that the paths in a table are relative to. Default: that of the table.",
)
@views_option
@uri_option
def command(run: str, data: Path, images: Path | None, views: int, uri: str | None) -> None:
    """Evaluate a run's model on another dataset.

    Metrics, predictions and report become a child run of that run. Files that cannot be read are
    skipped with a warning."""
    with quiet_imports():
        from pipeline.workflows.model_evaluation import PREFIX, EvaluationData, evaluate_and_log
        from pipeline.workflows.view_averaging import describe_views

    interrupt_on(signal.SIGTERM)  # clusters send it
    model = api.load(run, tracking_uri=uri)
    evaluation, run_id = evaluate_and_log(
        model.classifier,
        model.keras_classifier,
        EvaluationData(data, images),
        store=model.store,
        model=model.stored,
        views=views,
    )
    values = {name.removeprefix(f"{PREFIX}_"): value for name, value in evaluation.metrics.items()}
    task = TASKS[model.classifier.interface.task]
    shown = []
    for name in task.main_metrics(is_imbalanced=evaluation.is_imbalanced):
        shown.append(f"{name} {values[name]:.4f}")
        if name in task.headline_metrics(is_imbalanced=evaluation.is_imbalanced):
            shown[-1] += f" ({values[f'{name}_low']:.3f} to {values[f'{name}_high']:.3f})"
    counted = f"on {len(evaluation.predictions):,} images"
    if views > 1:
        counted += f", {describe_views(views)}"
    click.echo(f"{model.name} on {data}: {'  '.join(shown)}  {counted}")
    click.echo(f"  run {run_id} in {model.store.uri}")
