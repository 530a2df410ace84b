"""pipeline compare"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.backend import quiet_imports
from pipeline.cli.options import uri_option
from pipeline.errors import UsageError

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from pipeline.evaluation.comparison import Comparison, Contender
    from pipeline.tracking.store import Store


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN…")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="An .html or a .csv file to write too."
)
@uri_option
def command(runs: tuple[str, ...], output: Path | None, uri: str | None) -> None:
    """Tell which of several runs is better.

    What differs from the first RUN in the recipe and in the results, and the difference on the same
    images with its 95 % interval: better is what stays better in it."""
    with quiet_imports():
        from pipeline.evaluation import comparison as comparisons
        from pipeline.tracking.store import open_store

    if len(runs) < 2:
        raise UsageError("compare: expected two runs or more. Received one.")
    write = _writer(output)
    store = open_store(uri)
    comparison = comparisons.compare([_contender(store, called) for called in runs])
    click.echo(comparisons.as_text(comparison))
    if output and write:
        try:
            output.write_text(write(comparison), encoding="utf-8", errors="replace")
        except OSError as error:
            raise UsageError(f"{output} cannot be written: {error.strerror}.") from None
        logger.info(f"Written to {output}")


def _writer(output: Path | None) -> Callable[[Comparison], str] | None:
    with quiet_imports():
        from pipeline.evaluation import comparison as comparisons

    if output is None:
        return None
    writers = {".html": comparisons.as_html, ".csv": comparisons.as_csv}
    if output.suffix not in writers:
        raise UsageError(f"-o: expected a name that ends in .html or .csv. Received: {output}")
    return writers[output.suffix]


def _contender(store: Store, called: str) -> Contender:
    with quiet_imports():
        from pipeline.evaluation import predictions
        from pipeline.evaluation.comparison import Contender
        from pipeline.tracking.lookup import artifacts_of, find_run

    run = find_run(store, called)
    with artifacts_of(store, run, "predictions") as paths:
        given = {
            path.stem: predictions.read_predictions(path) for path in sorted(paths, reverse=True)
        }
    if not given:
        logger.info(f"The run {run.info.run_name} ({run.info.run_id}) has no predictions to pair.")
    return Contender(run.info.run_name, run.info.run_id, run.data.params, run.data.metrics, given)
