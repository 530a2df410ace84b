"""pipeline ui"""

from __future__ import annotations

import logging

import click

from pipeline.backend import quiet_imports
from pipeline.cli.options import uri_option

logger = logging.getLogger(__name__)


@click.command("ui")
@uri_option
@click.option("--port", default=5000, show_default=True, help="The first port to try.")
def command(uri: str | None, port: int) -> None:
    """Start the MLflow UI.

    It shows the store in use, to this machine alone; the address of the newest run is printed."""
    with quiet_imports():
        from pipeline.tracking import tracking_ui
        from pipeline.tracking.mlflow_server import free_port, stop
        from pipeline.tracking.store import newest_run, open_store

    store = open_store(uri)
    run = newest_run(store)
    port = free_port(port)
    process = tracking_ui.start(store, port)
    click.echo(tracking_ui.address(port, run))
    logger.info("Ctrl-C ends it.")
    try:
        process.wait()
    except KeyboardInterrupt:
        stop(process)
