"""Logs a run to MLflow."""

from __future__ import annotations

import contextlib
import getpass
import json
import logging
import os
import shlex
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import TrackingError, UsageError
from pipeline.secrets import mask_files, mask_secrets, mask_values
from pipeline.tracking import liveness, system_metrics
from pipeline.tracking.background_writer import BackgroundWriter
from pipeline.tracking.liveness import LivenessLock
from pipeline.tracking.mlflow_writer import Kind, OutboxItem, write_item
from pipeline.tracking.outbox import metrics_body, trial_body, write_outbox
from pipeline.tracking.run_log import FILE_NAME, RunLog
from pipeline.tracking.store import (
    Store,
    experiment_id,
    liveness_directory,
    outbox_directory,
    store_lock,
    translate_errors,
)
from pipeline.tracking.trial_runs import TrialRun

logger = logging.getLogger(__name__)

RunStatus = Literal["FINISHED", "FAILED", "KILLED"]


class RunLogger:
    """A run in the tracking store, and the runs of its trials.

    Everything is masked and queued; a thread writes it to MLflow in order. While the store cannot
    be reached the run continues. What is missing is sent when the store is back, which the end
    waits for; what is missing even then stays in mlruns/outbox/RUN_ID.

    Attributes:
        run_id: the run's id.
        uri: the tracking URI, without secrets.
        outbox: the directory with what could not be sent, None if everything was; set by `end`.
    """

    def __init__(
        self,
        store: Store,
        run: Any,
        lock: LivenessLock,
        logged: frozenset[tuple[str, int]] = frozenset(),
    ) -> None:
        """Start the thread.

        Args:
            store: contains the run.
            run: the MLflow run.
            lock: shows that this process is alive.
            logged: names and steps of metrics that the run has from an earlier session.
        """
        self.run_id: str = run.info.run_id
        self.uri = store.uri
        self.artifact_uri = store.mask(run.info.artifact_uri)
        self.outbox: Path | None = None
        self._client = store.client
        self._secrets = store.secrets
        self._liveness = lock
        self._logged = logged
        self._log: RunLog | None = None
        self._datasets: dict[str | None, dict[str, Any]] = {}
        self._model_id: str | None = None  # None: the model that the run logs
        self._ended = threading.Event()
        self._is_closed = False
        self._closing = threading.Lock()  # a signal may end the run from another thread
        self._writer = BackgroundWriter(store.client, self.run_id, self.uri, lock)

    def log_metrics(
        self, values: Mapping[str, float], step: int = 0, *, split: str | None = None
    ) -> None:
        """Log metrics at a step, except those that the run has from an earlier session.

        Args:
            values: by name.
            step: such as an epoch.
            split: the dataset that they were measured on, as given to `log_dataset`. They are then
                also metrics of the model that was evaluated.
        """
        body = metrics_body(values, step)
        new = {
            name: value
            for name, value in body["values"].items()
            if (name, step) not in self._logged
        }
        if new:
            measured = {"dataset": self._datasets.get(split), "model_id": self._model_id}
            self._put("metrics", {**body, "values": new, **(measured if split else {})})

    def log_params(self, values: Mapping[str, str]) -> None:
        """Log parameters."""
        self._put("params", values)

    def set_tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""
        self._put("tags", values)

    def log_dataset(
        self, split: str, source: str, *, digest: str, images: int, context: str
    ) -> None:
        """Log a dataset.

        Args:
            split: by which `log_metrics` refers to it.
            source: the path of its file or directory, or the name of the source in this package.
            digest: identifies the images.
            images: their number.
            context: what they are used for, in MLflow's terms: `training`, `validation`, `testing`
                or `evaluation`.
        """
        body = {
            "name": Path(source).name,
            "digest": digest[:36],  # MLflow keeps no more
            "source_type": "local" if os.sep in source else "package",
            "source": json.dumps({"uri": source}),
            "profile": {"images": images},
        }
        self._datasets[split] = {key: body[key] for key in ("name", "digest")}
        self._put("dataset", {"dataset": body, "context": context})

    def log_input_model(self, model_id: str) -> None:
        """Log that the run evaluates a logged model, whose metrics `log_metrics` then logs."""
        self._model_id = model_id
        self._put("input_model", {"model_id": model_id})

    def mask(self, text: str) -> str:
        """Return `text` without secrets."""
        return mask_secrets(text, self._secrets)

    def log_artifacts(self) -> AbstractContextManager[Path]:
        """Log the files that the block puts into an empty directory, whose path it gets."""
        return self._files("artifacts")

    def log_model(self) -> AbstractContextManager[Path]:
        """Log the MLflow model that the block puts into an empty directory, whose path it gets.

        The directory exists until the run ends.
        """
        return self._files("model")

    def log_model_files(self) -> AbstractContextManager[Path]:
        """Add files to the logged model: those that the block puts into an empty directory.

        They have the paths that they have in the model, and replace files of the same paths.
        """
        return self._files("model_files")

    def log_trial(self, trial: TrialRun) -> None:
        """Log a trial as a child run; one that exists already is completed."""
        self._put("trial", trial_body(trial))

    def attach_log(self, *, resumed: bool) -> None:
        """Keep the package's log messages from now on as the artifact `run.log`."""
        directory = self._liveness.directory
        if resumed:
            with contextlib.suppress(Exception):  # an earlier session may have left none
                self._client.download_artifacts(self.run_id, FILE_NAME, str(directory))
        self._log = RunLog(directory / FILE_NAME, self._secrets)

    def log_system_metrics(self) -> None:
        """Log the load of the machine every ten seconds until the run ends."""
        steps = [step for name, step in self._logged if name.startswith(system_metrics.PREFIX)]
        first = max(steps, default=-1) + 1
        system_metrics.log_until(self._ended, self.log_metrics, first_step=first)

    def end(self, status: RunStatus, *, reason: str = "", within: float | None = None) -> None:
        """End the run, and wait until everything is sent or was tried again for a minute.

        Ctrl-C ends the waiting, and nothing else, unless `within` limits it. A run that has ended
        keeps its status. What could not be sent is in `outbox`.

        Args:
            status: how it ended.
            reason: of a failure or an interruption.
            within: the maximum of seconds to wait.
        """
        if not self._ended.is_set():
            self._ended.set()
            if reason:
                self.set_tags({"reason": reason})
            self._close_log(status, reason)
            self._put("status", {"status": status, "end_time": int(time.time() * 1000)})
        unsent = self._writer.finish(within)
        with self._closing:
            if not self._is_closed:
                self._is_closed = True
                self._keep(unsent)

    def model_uri(self) -> str:
        """Return the URI of the run's model, as MLflow's loaders take it."""
        if self.outbox is None:
            with contextlib.suppress(Exception):  # unreachable, or a store without logged models
                outputs = self._client.get_run(self.run_id).outputs
                return f"models:/{outputs.model_outputs[-1].model_id}"
        return f"runs:/{self.run_id}/model"

    def _close_log(self, status: RunStatus, reason: str) -> None:
        if not self._log:
            return
        message = f"{status} {reason}".rstrip()
        self._log.emit(logging.makeLogRecord({"levelname": "INFO", "msg": message}))
        self._log.close()
        with contextlib.suppress(OSError), self.log_artifacts() as directory:  # a full disk
            shutil.copy(self._log.path, directory)

    def _keep(self, unsent: list[OutboxItem]) -> None:
        if not unsent:
            self._liveness.release()
            return
        self.outbox = outbox_directory(self.run_id)
        message = f"Some logs could not be sent to {self.uri}"
        try:
            self._liveness.release(move_to=self.outbox)
            write_outbox(unsent, directory=self.outbox, run_id=self.run_id, uri=self.uri)
        except OSError as error:
            logger.error(
                f"{message}, and cannot be kept in {self.outbox}: {error.strerror or error}."
            )
        else:
            logger.warning(
                f"{message}. They are kept in {self.outbox}. "
                f"Upload them with: pipeline sync {shlex.quote(str(self.outbox))}"
            )

    @contextlib.contextmanager
    def _files(self, kind: Kind) -> Iterator[Path]:
        directory = Path(tempfile.mkdtemp(dir=self._liveness.directory, prefix=f"{kind}-"))
        try:
            yield directory
            mask_files(directory, self._secrets)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)  # it may be what fills the disk
            raise
        self._put(kind, {"directory": directory.name})

    def _put(self, kind: Kind, body: Mapping[str, Any]) -> None:
        self._writer.put(OutboxItem(kind, mask_values(body, self._secrets)))


def start_run(
    store: Store,
    *,
    experiment: str,
    name: str,
    description: str = "",
    parent: str | None = None,
) -> RunLogger:
    """Start a run, under a parent run if there is one. Its status is RUNNING.

    Raises:
        TrackingError: if the store does not accept it.
    """
    number = experiment_id(store, store.mask(experiment))
    with translate_errors(f"Cannot start a run in {store.uri}"), _new_lock() as lock:
        tags = {
            "mlflow.source.name": "pipeline",
            "mlflow.user": _user(),
            "mlflow.note.content": store.mask(description),
            **({"mlflow.parentRunId": parent} if parent else {}),
            **lock.tags(),
        }
        run = store.client.create_run(number, run_name=store.mask(name), tags=tags)
    return RunLogger(store, run, lock)


def reopen_run(store: Store, run_id: str) -> RunLogger:
    """Resume a run that has ended unfinished. Its status is RUNNING again.

    Raises:
        UsageError: if it is running.
        TrackingError: if the store does not accept it.
    """
    client = store.client
    with translate_errors(f"Cannot resume run {run_id} in {store.uri}"), _new_lock() as lock:
        with store_lock(store.artifacts):
            run = client.get_run(run_id)
            if run.info.status == "RUNNING":
                raise UsageError(f"Run {run_id} is still running.")
            for name, value in lock.tags().items():
                client.set_tag(run_id, name, value)
            client.update_run(run_id, status="RUNNING")
        if "reason" in run.data.tags:
            client.delete_tag(run_id, "reason")
        logged = frozenset(
            (name, metric.step)
            for name in run.data.metrics
            for metric in client.get_metric_history(run_id, name)
        )
    return RunLogger(store, run, lock, logged)


def log_metrics_after_end(store: Store, run_id: str, values: Mapping[str, float]) -> None:
    """Log metrics to a run that has ended.

    Raises:
        TrackingError: if the store does not accept them.
    """
    with translate_errors(f"Cannot log metrics of run {run_id} to {store.uri}"):
        item = OutboxItem("metrics", metrics_body(values, step=0))
        write_item(item, store.client, run_id, directory=Path())


@contextlib.contextmanager
def _new_lock() -> Iterator[LivenessLock]:
    """Yield a new lock, which is released if the block raises an error."""
    parent = liveness_directory()
    try:
        lock = liveness.acquire(parent)
    except OSError as error:
        raise TrackingError(
            f"Cannot write to {parent}: {error.strerror or error}. Every run needs this directory. "
            "Free disk space, or start the run in a directory that you may write to."
        ) from None
    try:
        yield lock
    except BaseException:
        lock.release()
        raise


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container the user may have no name
        return str(os.getuid())
