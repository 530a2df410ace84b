"""pipeline serve"""

from __future__ import annotations

import logging

import click

from pipeline.backend import quiet_imports
from pipeline.cli.options import run_argument, uri_option

logger = logging.getLogger(__name__)


@click.command("serve")
@run_argument
@click.option("--port", default=5001, show_default=True, help="The first port to try.")
@uri_option
def command(run: str, port: int, uri: str | None) -> None:
    """Serve a run's model to this machine.

    MLflow's scoring server answers requests with images in base64; the address is printed."""
    with quiet_imports():
        from pipeline.inference import pyfunc_model
        from pipeline.tracking import model_server
        from pipeline.tracking.lookup import files_of, find_model
        from pipeline.tracking.mlflow_server import free_port, stop
        from pipeline.tracking.store import open_store

    store = open_store(uri)
    model = find_model(store, run)
    with files_of(store, model) as folder:
        port = free_port(port)
        process = model_server.start(folder, store, port, loader=pyfunc_model.__name__)
        click.echo(model_server.address(port))
        logger.info(f"It serves the model of {model.run_name} ({model.run_id}). Ctrl-C ends it.")
        try:
            process.wait()
        except KeyboardInterrupt:
            stop(process)
