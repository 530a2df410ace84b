"""The store of runs: mlruns/mlflow.db and mlruns/artifacts in the working folder, or a server."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow

from pipeline.errors import TrackingError, first_line
from pipeline.file_locks import file_lock
from pipeline.secrets import MASK, mask_credentials
from pipeline.tracking.liveness import mark_dead_runs

FOLDER = "mlruns"
_DATABASE = "mlflow.db"

# A run must not wait minutes for a server that is gone: what cannot be sent is kept and sent later.
_MLFLOW_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # standard output is for results
}


# The UI opens on what concerns training, not on language models.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}


@dataclass(frozen=True)
class Store:
    """An open store.

    Attributes:
        address: its MLflow tracking URI, with a password if there is one: for MLflow alone.
        client: an MlflowClient.
        artifacts: the folder of its artifacts where it is the one in the working folder.
    """

    address: str
    client: Any
    artifacts: Path | None

    @property
    def uri(self) -> str:
        """The tracking URI as it may be shown and kept, with *** for a password."""
        return mask_credentials(self.address)


def resolve_uri(uri: str | None) -> str:
    """Return the tracking URI in use.

    Args:
        uri: what the recipe says; otherwise MLFLOW_TRACKING_URI, or mlruns/ in the working folder.
    """
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or _local_uri()


def open_store(uri: str | None) -> Store:
    """Open the store, and create it if it is the local one and does not exist.

    Runs whose process is gone are not left there as RUNNING.

    Raises:
        TrackingError: if it cannot be reached, created or read.
    """
    located = resolve_uri(uri)
    is_local = located == _local_uri()
    artifacts = Path(FOLDER, "artifacts").absolute() if is_local else None
    for name, value in _MLFLOW_SETTINGS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    # It writes a traceback of what it also raises.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    try:
        if artifacts:
            artifacts.mkdir(parents=True, exist_ok=True)
        with store_lock(artifacts):
            logging.getLogger("mlflow").setLevel(logging.WARNING)  # its import sets the level
            if artifacts:
                _create(artifacts.parent / _DATABASE)
            client = mlflow.MlflowClient(tracking_uri=located)
            client.search_experiments(max_results=1)
        mark_dead_runs(client)
    except Exception as error:  # MLflow raises what the database, the network or the disk do
        raise TrackingError(
            f"The store of runs {mask_credentials(located)} cannot be used: "
            f"{error_summary(error)} {_advice(error)}"
        ) from None
    return Store(located, client, artifacts)


def restore_credentials(uri: str) -> str:
    """Return the tracking URI that a `Store.uri` was made from.

    Raises:
        TrackingError: if it had a password, and no environment variable has it.
    """
    if MASK not in uri:
        return uri
    address = resolve_uri(None)
    if mask_credentials(address) != uri:
        raise TrackingError(
            f"The password of {uri} was not kept. Name the whole address with --uri or in "
            "MLFLOW_TRACKING_URI."
        )
    return address


def experiment_id(store: Store, name: str) -> str:
    """Return the id of an experiment, which is created if it does not exist.

    Raises:
        TrackingError: if it was deleted, or cannot be created.
    """
    try:
        with store_lock(store.artifacts):
            experiment = store.client.get_experiment_by_name(name)
            if experiment is None:
                location = store.artifacts.as_uri() if store.artifacts else None
                return str(
                    store.client.create_experiment(
                        name, artifact_location=location, tags=_EXPERIMENT_TAGS
                    )
                )
    except Exception as error:
        raise TrackingError(
            f"The experiment '{name}' cannot be made in {store.uri}: {error_summary(error)}"
        ) from None
    if experiment.lifecycle_stage != "active":
        raise TrackingError(
            f"The experiment '{name}' was deleted in {store.uri}. Restore it with "
            f"`mlflow experiments restore -x {experiment.experiment_id}`, or set "
            "tracking.experiment to another name."
        )
    return str(experiment.experiment_id)


def newest_run(store: Store) -> Any:
    """Return the newest run of all experiments, or None where there is none."""
    experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
    runs = store.client.search_runs(
        experiments, order_by=["attributes.start_time DESC"], max_results=1
    )
    return runs[0] if runs else None


def store_lock(artifacts: Path | None) -> contextlib.AbstractContextManager[None]:
    """Let one process at a time in here where the store is the local one, which has artifacts."""
    return file_lock(artifacts.parent / ".lock") if artifacts else contextlib.nullcontext()


def checkpoint_directory(run_id: str) -> Path:
    """Return where a run keeps what it could go on from."""
    return Path(FOLDER, "checkpoints", run_id).absolute()


def outbox_directory(run_id: str) -> Path:
    """Return where a run leaves what its store did not take."""
    return Path(FOLDER, "undelivered", run_id).absolute()


def liveness_directory() -> Path:
    """Return where each run has a folder while its process lives."""
    return Path(FOLDER, "running").absolute()


def error_summary(error: BaseException) -> str:
    """Return the first line of an error's text, ended with a full stop."""
    text = first_line(error) or type(error).__name__
    text = text.partition(" with exception ")[0]  # what follows is the network library's inside
    text = mask_credentials(text)
    return text if text.endswith(".") else f"{text}."


def _advice(error: BaseException) -> str:
    if "database is locked" in str(error):
        return "Another process has been writing to it for a while: wait for it, or end it."
    if "disk is full" in str(error) or getattr(error, "errno", None) == errno.ENOSPC:
        return "Make room on its disk."
    return "Check tracking.uri and MLFLOW_TRACKING_URI, and that the place can be written to."


def _local_uri() -> str:
    return f"sqlite:///{Path(FOLDER, _DATABASE).absolute()}"


def _create(path: Path) -> None:
    """Create the local database whole or not at all: a kill may come between its tables."""
    if path.exists():
        return

    scratch = path.with_name(f".new-{path.name}")
    scratch.unlink(missing_ok=True)
    mlflow.MlflowClient(tracking_uri=f"sqlite:///{scratch}").search_experiments(max_results=1)
    scratch.replace(path)
