"""pipeline ui"""

from __future__ import annotations

import logging
import signal

import click

from pipeline.backend import quiet_imports
from pipeline.cli.options import uri_option
from pipeline.shutdown import interrupt_on

logger = logging.getLogger(__name__)


@click.command("ui", epilog="Example: pipeline ui --port 5050")
@uri_option
@click.option("--port", default=5000, show_default=True, help="The first port to try.")
def command(uri: str | None, port: int) -> None:
    """Open the MLflow UI on localhost.

    Prints the address of the newest run. Ctrl-C stops the server."""
    with quiet_imports():
        from pipeline.tracking import tracking_ui
        from pipeline.tracking.mlflow_server import free_port
        from pipeline.tracking.store import newest_run, open_store

    store = open_store(uri)
    run = newest_run(store)
    port = free_port(port)
    interrupt_on(signal.SIGTERM, signal.SIGHUP)
    with tracking_ui.serve(store, port) as server:
        click.echo(tracking_ui.address(port, run))
        logger.info("Press Ctrl-C to stop.")
        server.wait()
