"""pipeline serve"""

from __future__ import annotations

import click

from pipeline.cli.options import run_argument, say, uri_option


@click.command("serve")
@run_argument
@click.option("--port", default=5001, show_default=True, help="The first port to try.")
@uri_option
def command(run: str, port: int, uri: str | None) -> None:
    """Serve a run's model to this machine.

    MLflow's scoring server answers requests with images in base64; the address is printed."""
    from pipeline.inference import served
    from pipeline.tracking import serving
    from pipeline.tracking.local_server import free_port, stop
    from pipeline.tracking.lookup import files_of, find_model
    from pipeline.tracking.store import open_store

    store = open_store(uri)
    model = find_model(store, run)
    with files_of(store, model) as folder:
        port = free_port(port)
        process = serving.start(folder, store, port, loader=served.__name__)
        click.echo(serving.address(port))
        say(f"It serves the model of {model.run_name} ({model.run_id}). Ctrl-C ends it.")
        try:
            process.wait()
        except KeyboardInterrupt:
            stop(process)
