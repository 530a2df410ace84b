"""pipeline sync"""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.backend import quiet_imports
from pipeline.errors import UsageError


@click.command("sync", epilog="Example: pipeline sync mlruns/outbox/RUN_ID")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--uri", help="MLflow tracking URI. Default: that of the run.")
def command(directory: Path, uri: str | None) -> None:
    """Upload logs that could not be sent during a run.

    A run whose tracking store cannot be reached leaves them in DIRECTORY."""
    with quiet_imports():
        from pipeline.tracking.outbox import read_outbox, upload_outbox
        from pipeline.tracking.store import open_store, restore_credentials

    try:
        run_id, run_uri, _ = read_outbox(directory)
    except (OSError, ValueError) as error:
        raise UsageError(f"{directory} contains no logs of a run: {error}.") from None
    store = open_store(uri) if uri else open_store(*restore_credentials(run_uri))
    count = upload_outbox(directory, store.client)
    click.echo(f"Uploaded {count} items of run {run_id} to {store.uri}")
