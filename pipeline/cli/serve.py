"""pipeline serve"""

from __future__ import annotations

import logging
import signal

import click

from pipeline.backend import quiet_imports
from pipeline.cli.options import run_argument, uri_option
from pipeline.shutdown import interrupt_on

logger = logging.getLogger(__name__)


@click.command("serve", epilog="Example: pipeline serve models:/flowers@champion --port 8000")
@run_argument
@click.option("--port", default=5001, show_default=True, help="The first port to try.")
@uri_option
def command(run: str, port: int, uri: str | None) -> None:
    """Serve a model on localhost.

    MLflow's scoring server accepts images in base64. Prints its address. Ctrl-C stops the
    server."""
    with quiet_imports():
        from pipeline.inference import pyfunc_model
        from pipeline.inference.model_interface import load_interface
        from pipeline.tracking import model_server
        from pipeline.tracking.lookup import files_of, find_model
        from pipeline.tracking.mlflow_server import free_port
        from pipeline.tracking.store import open_store
        from pipeline.tracking.stored_model import DATA

    store = open_store(uri)
    model = find_model(store, run)
    interrupt_on(signal.SIGTERM, signal.SIGHUP)
    with files_of(store, model) as directory:
        load_interface(directory / DATA)  # a clear error if another tool logged the model
        port = free_port(port)
        with model_server.serve(directory, store, port, loader=pyfunc_model.__name__) as server:
            click.echo(model_server.address(port))
            logger.info(
                f"Serving the model of {model.run_name} ({model.run_id}). Press Ctrl-C to stop."
            )
            server.wait()
