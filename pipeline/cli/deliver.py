"""pipeline deliver"""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.errors import UsageError


@click.command("deliver")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--uri", help="The store; unless given, the one that the run was sent to.")
def command(folder: Path, uri: str | None) -> None:
    """Send what a run could not send.

    A run whose store could not be reached leaves it in FOLDER."""
    from pipeline.tracking import deliveries
    from pipeline.tracking.recorder import deliver
    from pipeline.tracking.store import open_store, with_credentials

    try:
        run_id, run_uri, waiting = deliveries.read(folder / "deliveries.json")
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} holds nothing that a run left: {error}.") from None
    store = open_store(uri or with_credentials(run_uri))
    deliver(folder, store.client, run_id, waiting)
    click.echo(f"{len(waiting)} parts of run {run_id} sent to {store.uri}")
