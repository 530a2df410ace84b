"""pipeline deliver"""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.backend import quiet_imports
from pipeline.errors import UsageError


@click.command("deliver")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--uri", help="The store; unless given, the one that the run was sent to.")
def command(folder: Path, uri: str | None) -> None:
    """Send what a run could not send.

    A run whose store could not be reached leaves it in FOLDER."""
    with quiet_imports():
        from pipeline.tracking import outbox
        from pipeline.tracking.run_logger import send_outbox
        from pipeline.tracking.store import open_store, restore_credentials

    try:
        run_id, run_uri, waiting = outbox.read_outbox(folder / "deliveries.json")
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} holds nothing that a run left: {error}.") from None
    store = open_store(uri or restore_credentials(run_uri))
    send_outbox(folder, store.client, run_id, waiting)
    click.echo(f"{len(waiting)} parts of run {run_id} sent to {store.uri}")
