"""pipeline compare"""

from __future__ import annotations

import logging
from pathlib import Path

import click

from pipeline.backend import quiet_imports
from pipeline.cli.options import uri_option
from pipeline.errors import UsageError
from pipeline.tasks.tasks import TASKS

logger = logging.getLogger(__name__)


@click.command("compare", epilog="Example: pipeline compare digits_lenet latest -o comparison.html")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN…")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Also write the comparison to this .html or .csv file.",
)
@uri_option
def command(runs: tuple[str, ...], output: Path | None, uri: str | None) -> None:
    """Compare runs.

    Shows how recipes and metrics differ, and how each run differs from the first one on the same
    images. A run is better if the 95 % interval of the difference in accuracy, or in exact_match
    where images may have several labels, is above 0; of more than two runs, if the p-value of the
    difference, corrected for their number, is at most 0.05."""
    if len(runs) < 2:
        raise UsageError("compare: expected at least two runs. Received one.")
    if output and output.suffix not in (".html", ".csv"):
        raise UsageError(f"-o: expected the name of an .html or .csv file. Received: {output}")
    with quiet_imports():
        from pipeline.evaluation import run_comparison
        from pipeline.evaluation.html_pages import write_output
        from pipeline.evaluation.predictions import read_predictions
        from pipeline.tracking.lookup import artifacts_of, find_run
        from pipeline.tracking.store import open_store

    store = open_store(uri)
    compared: list[run_comparison.ComparedRun] = []
    for name in runs:
        found = find_run(store, name)
        if any(found.info.run_id == run.run_id for run in compared):
            raise UsageError(
                f"compare: expected different runs. {found.info.run_name} ({found.info.run_id}) is "
                "named twice."
            )
        with artifacts_of(store, found, "predictions") as files:
            predictions = {each.stem: read_predictions(each) for each in sorted(files)[::-1]}
        run_name, run_id, data = found.info.run_name, found.info.run_id, found.data
        if not predictions:
            logger.warning(f"Run {run_name} ({run_id}) has no predictions to compare.")
        task = TASKS[data.params.get("data.task", "classification")]
        compared.append(
            run_comparison.ComparedRun(
                run_name, run_id, data.params, data.metrics, predictions, task.compare
            )
        )
    comparison = run_comparison.compare_runs(compared)
    click.echo(run_comparison.to_text(comparison))
    if output:
        is_html = output.suffix == ".html"
        write = run_comparison.to_html if is_html else run_comparison.to_csv
        write_output(write(comparison), output)
        logger.info(f"Wrote {output}")
