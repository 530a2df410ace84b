"""The tracking store: mlruns/ in the working directory, or an MLflow server."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow

from pipeline.backend import garbage_collection_paused
from pipeline.errors import PipelineError, TrackingError, first_line
from pipeline.file_locks import file_lock
from pipeline.secrets import MASK, mask_credentials, mask_secrets
from pipeline.tracking.liveness import mark_dead_runs
from pipeline.tracking.paging import experiment_ids, iterate_pages
from pipeline.tracking.tracking_uri import DATABASE, DIRECTORY, local_uri, resolve_uri

# A run must not wait minutes for a server that is gone: its logs are kept and sent later.
_MLFLOW_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # standard output is for results
}


_PAGE = 100
NEWEST_FIRST = ["attributes.start_time DESC"]  # the order of runs in a search

# The UI opens on what concerns training, not on language models.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}


@dataclass(frozen=True)
class Store:
    """An open store.

    Attributes:
        address: its MLflow tracking URI, with the password if there is one: for MLflow alone.
        client: an MlflowClient.
        artifacts: the directory of its artifacts if it is the one in the working directory.
        secrets: the placeholder of each secret value that must not reach the store.
    """

    address: str
    client: Any
    artifacts: Path | None
    secrets: Mapping[str, str] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        """The tracking URI without secrets, for people and files."""
        return self.mask(self.address)

    def mask(self, text: str) -> str:
        """Return `text` without secrets."""
        return mask_secrets(text, self.secrets)


def open_store(uri: str | None, secrets: Mapping[str, str] | None = None) -> Store:
    """Open the store; create it if it is the local one and does not exist.

    Runs that are RUNNING but whose process is gone are set to KILLED.

    Args:
        uri: as `resolve_uri` takes it.
        secrets: the placeholder of each secret value, such as `${API_TOKEN}`.

    Raises:
        TrackingError: if it cannot be reached, created or read.
    """
    address = resolve_uri(uri)
    is_local = address == local_uri()
    secrets = secrets or {}
    artifacts = Path(DIRECTORY, "artifacts").absolute() if is_local else None
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
            if artifacts:
                _create(artifacts.parent / DATABASE)
            with garbage_collection_paused():  # MLflow imports the drivers of databases only now
                client = mlflow.MlflowClient(tracking_uri=address)
                client.search_experiments(max_results=1)
        mark_dead_runs(client)
    except Exception as error:  # MLflow raises what the database, the network or the disk do
        raise TrackingError(
            f"Cannot open the tracking store {mask_secrets(address, secrets)}: "
            f"{error_summary(error)} {_advice(error)}"
        ) from None
    return Store(address, client, artifacts, secrets)


def restore_credentials(uri: str) -> tuple[str, dict[str, str]]:
    """Return the tracking URI that a `Store.uri` was made from, and its secrets.

    Raises:
        TrackingError: if it had a secret that is not in an environment variable.
    """
    placeholders = {name: f"${{{name}}}" for name in re.findall(r"\$\{(\w+)\}", uri)}
    secrets = {os.environ[name]: p for name, p in placeholders.items() if name in os.environ}
    address = uri
    for value, placeholder in secrets.items():
        address = address.replace(placeholder, value)
    if MASK in address and mask_credentials(resolve_uri(None)) == address:
        return resolve_uri(None), secrets
    if MASK in address or len(secrets) < len(placeholders):
        raise TrackingError(
            f"The password in {uri} is not stored. Give the complete URI with --uri or in "
            "MLFLOW_TRACKING_URI."
        )
    return address, secrets


def experiment_id(store: Store, name: str) -> str:
    """Return the id of an experiment, which is created if it does not exist.

    Raises:
        TrackingError: if it was deleted, or cannot be created.
    """
    client = store.client
    failure = f"Cannot create the experiment '{name}' in {store.uri}"
    with translate_errors(failure), store_lock(store.artifacts):
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            location = store.artifacts.as_uri() if store.artifacts else None
            return str(client.create_experiment(name, location, tags=_EXPERIMENT_TAGS))
    if experiment.lifecycle_stage != "active":
        raise TrackingError(
            f"The experiment '{name}' was deleted in {store.uri}. Restore it with "
            f"`mlflow experiments restore -x {experiment.experiment_id}`, or set "
            "tracking.experiment to another name."
        )
    return str(experiment.experiment_id)


def newest_run(store: Store) -> Any:
    """Return the newest run of all experiments, None if there is none."""
    return next(newest_runs(store, first_page=1), None)


def newest_runs(store: Store, condition: str = "", *, first_page: int = 10) -> Iterator[Any]:
    """Yield the runs of all experiments that fulfil a condition, the newest first.

    Args:
        store: the tracking store.
        condition: a filter of MLflow.
        first_page: the runs to fetch at first: few, because each brings all its metrics.
    """
    experiments = experiment_ids(store.client)
    return iterate_pages(
        lambda token: store.client.search_runs(
            experiments,
            condition,
            max_results=_PAGE if token else first_page,
            order_by=NEWEST_FIRST,
            page_token=token,
        )
    )


def store_lock(artifacts: Path | None) -> contextlib.AbstractContextManager[None]:
    """Let one process at a time in here if the store is the local one, which has artifacts."""
    return file_lock(artifacts.parent / ".lock") if artifacts else contextlib.nullcontext()


def checkpoint_directory(run_id: str) -> Path:
    """Return the directory of a run's checkpoints."""
    return Path(DIRECTORY, "checkpoints", run_id).absolute()


def outbox_directory(run_id: str) -> Path:
    """Return the directory of a run's logs that could not be sent."""
    return Path(DIRECTORY, "outbox", run_id).absolute()


def liveness_directory() -> Path:
    """Return where each run has a directory while its process is alive."""
    return Path(DIRECTORY, "running").absolute()


@contextlib.contextmanager
def translate_errors(
    failure: str, error_class: type[PipelineError] = TrackingError
) -> Iterator[None]:
    """Raise an error of the block as one that says in a line what failed, and why.

    MLflow raises whatever the database, the network or the disk do. Errors of this package pass.

    Args:
        failure: what failed.
        error_class: the class of the error that is raised.
    """
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:
        raise error_class(f"{failure}: {error_summary(error)}") from None


def error_summary(error: BaseException) -> str:
    """Return the first line of an error's message, with a full stop."""
    text = first_line(error) or type(error).__name__
    text = text.partition(" with exception ")[0]  # details of the network library follow
    text = mask_credentials(text)
    return text if text.endswith(".") else f"{text}."


def _advice(error: BaseException) -> str:
    if "database is locked" in str(error):
        return "Another process is writing to it: wait for it, or end it."
    if "disk is full" in str(error) or getattr(error, "errno", None) == errno.ENOSPC:
        return "Free space on its disk."
    return "Check tracking.uri and MLFLOW_TRACKING_URI, and that you may write there."


def _create(path: Path) -> None:
    """Create the local database atomically: a kill may come between its tables."""
    if path.exists():
        return

    scratch = path.with_name(f".new-{path.name}")
    scratch.unlink(missing_ok=True)
    mlflow.MlflowClient(tracking_uri=f"sqlite:///{scratch}").search_experiments(max_results=1)
    scratch.replace(path)
