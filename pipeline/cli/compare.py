"""pipeline compare"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.backend import quiet_imports
from pipeline.cli.options import uri_option
from pipeline.errors import UsageError

if TYPE_CHECKING:
    from pipeline.evaluation.run_comparison import ComparedRun
    from pipeline.tracking.store import Store

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
    images. A run is better if the 95 % interval of the accuracy difference is above 0."""
    if len(runs) < 2:
        raise UsageError("compare: expected at least two runs. Received one.")
    if output and output.suffix not in (".html", ".csv"):
        raise UsageError(f"-o: expected the name of an .html or .csv file. Received: {output}")
    with quiet_imports():
        from pipeline.evaluation.run_comparison import compare_runs, to_csv, to_html, to_text
        from pipeline.tracking.store import open_store

    store = open_store(uri)
    comparison = compare_runs([_compared_run(store, name) for name in runs])
    click.echo(to_text(comparison))
    if output:
        text = to_html(comparison) if output.suffix == ".html" else to_csv(comparison)
        try:
            output.write_text(text, encoding="utf-8", errors="replace")
        except OSError as error:
            raise UsageError(f"{output} cannot be written: {error.strerror}.") from None
        logger.info(f"Wrote {output}")


def _compared_run(store: Store, name: str) -> ComparedRun:
    with quiet_imports():
        from pipeline.evaluation.predictions import read_predictions
        from pipeline.evaluation.run_comparison import ComparedRun
        from pipeline.tracking.lookup import artifacts_of, find_run

    run = find_run(store, name)
    with artifacts_of(store, run, "predictions") as paths:
        predictions = {path.stem: read_predictions(path) for path in sorted(paths, reverse=True)}
    run_name, run_id = run.info.run_name, run.info.run_id
    if not predictions:
        logger.warning(f"Run {run_name} ({run_id}) has no predictions to compare.")
    return ComparedRun(run_name, run_id, run.data.params, run.data.metrics, predictions)
