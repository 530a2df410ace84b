"""The record of one run, sent while it trains and never waited for."""

from __future__ import annotations

import getpass
import logging
import os
import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import TrackingError, UsageError
from pipeline.tracking import liveness, outbox
from pipeline.tracking.liveness import Liveness
from pipeline.tracking.outbox import OutboxItem
from pipeline.tracking.store import (
    Store,
    error_summary,
    experiment_id,
    liveness_directory,
    outbox_directory,
    store_lock,
)

logger = logging.getLogger(__name__)

RunStatus = Literal["FINISHED", "FAILED", "KILLED"]

_RETRY_SECONDS = 5.0
_LAST_TRIES = 2


class RunLogger:
    """A run in the store.

    A thread sends what the run hands over, in order. While the store cannot be reached the run goes
    on; what is missing is sent when the store is back, or left in mlruns/undelivered/ at the end.
    """

    def __init__(
        self,
        store: Store,
        run: Any,
        presence: Liveness,
        known: frozenset[tuple[str, int]] = frozenset(),
    ) -> None:
        """Begin to record.

        Args:
            store: where the run is.
            run: the run, of MLflow.
            presence: the sign that it is alive.
            known: names and steps of metrics that the run has from before it was interrupted.
        """
        self.run_id: str = run.info.run_id
        self.uri = store.uri
        self._client = store.client
        self._presence = presence
        self._known = known
        # What is not sent for certain, in order: nothing leaves before it is.
        self._waiting: deque[OutboxItem] = deque()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._is_given_up = False
        self._thread = threading.Thread(target=self._send_all, daemon=True, name="run_logger")
        self._thread.start()

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record metrics at a step, those that the run does not have from before."""
        delivery = outbox.metrics(values, step)
        named = delivery.body["values"]
        new = {name: value for name, value in named.items() if (name, step) not in self._known}
        if new:
            self._put(OutboxItem("metrics", {**delivery.body, "values": new}))

    def parameters(self, values: Mapping[str, str]) -> None:
        """Record parameters."""
        self._put(OutboxItem("parameters", dict(values)))

    def tags(self, values: Mapping[str, str]) -> None:
        """Record tags."""
        self._put(OutboxItem("tags", dict(values)))

    def dataset(
        self,
        *,
        name: str,
        digest: str,
        source_type: str,
        source: str,
        counts: Mapping[str, int],
    ) -> None:
        """Record what the run learns from; `counts` gives the images of each split."""
        body = {
            "name": name,
            "digest": digest[:36],  # the most that MLflow keeps
            "source_type": source_type,
            "source": source,
            "profile": dict(counts),
        }
        self._put(OutboxItem("dataset", body))

    def artifacts(self, write: Callable[[Path], None]) -> None:
        """Record files: `write` is called with an empty folder to put them into."""
        self._files("artifacts", write)

    def model(self, write: Callable[[Path], None]) -> Path:
        """Record an MLflow model: `write` is called with the folder to make it in.

        Returns:
            The folder, which is there until the run is closed.
        """
        return self._files("model", write)

    def close(self, state: RunStatus, *, within: float | None = None) -> Path | None:
        """End the run, and wait until everything is sent or has been tried again.

        A run that is ended already keeps its state.

        Args:
            state: how it ended.
            within: seconds to wait at most.

        Returns:
            The folder with what could not be sent, None where everything was.
        """
        if not self._closing.is_set():
            end_time = int(time.time() * 1000)
            self._put(OutboxItem("state", {"status": state, "end_time": end_time}))
            self._closing.set()
            with self._changed:
                self._changed.notify()
        self._thread.join(within)
        with self._changed:
            self._is_given_up = True
            return self._keep_undelivered()

    def _keep_undelivered(self) -> Path | None:
        if not self._waiting:
            self._presence.end()
            return None
        kept = outbox_directory(self.run_id)
        try:
            self._presence.end(keep_as=kept)
            outbox.write_outbox(
                list(self._waiting),
                path=kept / "deliveries.json",
                run_id=self.run_id,
                uri=self.uri,
            )
        except OSError as error:
            logger.info(
                f"Not everything could be sent to {self.uri}, and it cannot be kept in {kept}: "
                f"{error.strerror or error}."
            )
            return kept
        logger.info(
            f"Not everything could be sent to {self.uri}. It is kept in {kept}; "
            f"send it with: pipeline deliver {kept}"
        )
        return kept

    def model_uri(self) -> str:
        """Return the address of the run's model, as MLflow's loaders take it."""
        try:
            outputs = self._client.get_run(self.run_id).outputs
            return f"models:/{outputs.model_outputs[-1].model_id}"
        except Exception:  # the store is away, or has no logged models
            return f"runs:/{self.run_id}/model"

    def _files(self, kind: outbox.Kind, write: Callable[[Path], None]) -> Path:
        folder = Path(tempfile.mkdtemp(dir=self._presence.folder, prefix=f"{kind}-"))
        try:
            write(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)  # it may be what fills the disk
            raise
        self._put(OutboxItem(kind, {"folder": folder.name}))
        return folder

    def _put(self, delivery: OutboxItem) -> None:
        with self._changed:
            self._waiting.append(delivery)
            self._changed.notify()

    def _send_all(self) -> None:
        """Send what waits, in order; where that fails, come back later."""
        is_away, tries = False, _LAST_TRIES
        while (delivery := self._next()) is not None:
            try:
                outbox.send_item(
                    delivery,
                    client=self._client,
                    run_id=self.run_id,
                    folder=self._presence.folder,
                )
            except Exception as error:  # the network, the server, the database or the disk
                if getattr(error, "error_code", "") == "INVALID_PARAMETER_VALUE":
                    self._done()
                    what = f"some {delivery.kind} of the run"
                    logger.info(f"The store refuses {what}: {error_summary(error)}")
                    continue
                if self._is_given_up:
                    return
                if not is_away:
                    is_away = True
                    logger.info(
                        f"The store {self.uri} does not take what the run records: "
                        f"{error_summary(error)} The run goes on; it is kept and sent later."
                    )
                tries -= self._closing.is_set()
                if not tries:
                    return
                self._closing.wait(_RETRY_SECONDS)
                continue
            self._done()
            self._presence.show()
            if is_away and not self._waiting:
                is_away = False
                logger.info(f"The store {self.uri} is back; everything recorded so far is sent.")

    def _next(self) -> OutboxItem | None:
        """Return what is to be sent now, waiting for it; None where nothing will come."""
        with self._changed:
            while not self._waiting and not self._closing.is_set():
                self._changed.wait()
            return self._waiting[0] if self._waiting and not self._is_given_up else None

    def _done(self) -> None:
        with self._changed:
            if not self._is_given_up:
                sent = self._waiting.popleft()
                if sent.kind == "artifacts":  # a model's folder is still asked
                    shutil.rmtree(self._presence.folder / sent.body["folder"], ignore_errors=True)


def start_run(
    store: Store,
    *,
    experiment: str,
    name: str,
    description: str,
    parent: str | None = None,
) -> RunLogger:
    """Begin a run, in state RUNNING; under a parent run if there is one.

    Raises:
        TrackingError: if the store does not take it.
    """
    experiment_number = experiment_id(store, experiment)
    present = _presence()
    tags = {
        "mlflow.source.name": "pipeline",
        "mlflow.user": _user(),
        "mlflow.note.content": description,
        **({"mlflow.parentRunId": parent} if parent else {}),
        **present.tags(),
    }
    try:
        run = store.client.create_run(experiment_number, run_name=name, tags=tags)
    except Exception as error:
        present.end()
        raise TrackingError(
            f"No run can be started in {store.uri}: {error_summary(error)}"
        ) from None
    return RunLogger(store, run, present)


def reopen_run(store: Store, run_id: str) -> RunLogger:
    """Go on with a run that ended before it was finished: it is RUNNING again.

    Raises:
        UsageError: if it is running.
        TrackingError: if the store does not take it.
    """
    client, present = store.client, _presence()
    try:
        with store_lock(store.artifacts):
            run = client.get_run(run_id)
            if run.info.status == "RUNNING":
                raise UsageError(f"Run {run_id} is still running.")
            for name, value in present.tags().items():
                client.set_tag(run_id, name, value)
            client.update_run(run_id, status="RUNNING")
        if "reason" in run.data.tags:
            client.delete_tag(run_id, "reason")
        known = frozenset(
            (name, metric.step)
            for name in run.data.metrics
            for metric in client.get_metric_history(run_id, name)
        )
    except UsageError:
        present.end()
        raise
    except Exception as error:
        present.end()
        raise TrackingError(
            f"Run {run_id} cannot go on in {store.uri}: {error_summary(error)}"
        ) from None
    return RunLogger(store, run, present, known)


def _presence() -> Liveness:
    parent = liveness_directory()
    try:
        return liveness.begin(parent)
    except OSError as error:
        raise TrackingError(
            f"{parent} cannot be written to: {error.strerror or error}. A run needs it: make room "
            "or start it in a folder that is yours."
        ) from None


def log_metrics_after_end(store: Store, run_id: str, values: Mapping[str, float]) -> None:
    """Record metrics of a run that has ended.

    Raises:
        TrackingError: if the store does not take them.
    """
    try:
        outbox.send_item(
            outbox.metrics(values, step=0), client=store.client, run_id=run_id, folder=Path()
        )
    except Exception as error:
        raise TrackingError(
            f"{store.uri} does not take metrics of the run {run_id}: {error_summary(error)}"
        ) from None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return str(os.getuid())


def send_outbox(folder: Path, client: Any, run_id: str, waiting: list[OutboxItem]) -> None:
    """Send what an earlier run left in `folder`, and remove the folder.

    Raises:
        TrackingError: if something cannot be sent; it and what follows stay in the folder.
    """
    path = folder / "deliveries.json"
    _, uri, _ = outbox.read_outbox(path)
    for position, delivery in enumerate(waiting):
        try:
            outbox.send_item(delivery, client=client, run_id=run_id, folder=folder)
        except Exception as error:
            outbox.write_outbox(waiting[position:], path=path, run_id=run_id, uri=uri)
            raise TrackingError(
                f"{uri} does not take what is in {folder}: {error_summary(error)} "
                "What is left is kept there."
            ) from None
    shutil.rmtree(folder)
