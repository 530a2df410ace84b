"""The record of one run, sent while it trains and never waited for."""

from __future__ import annotations

import getpass
import os
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import TrackingError
from pipeline.tracking import deliveries
from pipeline.tracking.deliveries import Delivery
from pipeline.tracking.store import FOLDER, Store, experiment_id, first_line

State = Literal["FINISHED", "FAILED", "KILLED"]

_RETRY_SECONDS = 5.0
_LAST_TRIES = 2


class Recorder:
    """A run in the store.

    A thread sends what the run hands over, in order. While the store cannot be reached the run goes
    on; what is missing is sent when the store is back, or left in mlruns/undelivered/ at the end.
    """

    def __init__(self, store: Store, run: Any, say: Callable[[str], None]) -> None:
        self.run_id: str = run.info.run_id
        self.uri = store.uri
        self._client = store.client
        self._say = say
        self._folder = Path(tempfile.mkdtemp(prefix="pipeline-"))
        self._queue: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._waiting: list[Delivery] = []
        self._closing = threading.Event()
        self._is_away = False
        self._thread = threading.Thread(target=self._send_all, daemon=True, name="recorder")
        self._thread.start()

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record metrics at a step."""
        self._queue.put(deliveries.metrics(values, step))

    def parameters(self, values: Mapping[str, str]) -> None:
        """Record parameters."""
        self._queue.put(Delivery("parameters", dict(values)))

    def tags(self, values: Mapping[str, str]) -> None:
        """Record tags."""
        self._queue.put(Delivery("tags", dict(values)))

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
        self._queue.put(Delivery("dataset", body))

    def artifacts(self, write: Callable[[Path], None]) -> None:
        """Record files: `write` is called with an empty folder to put them into."""
        self._files("artifacts", write)

    def model(self, write: Callable[[Path], None]) -> None:
        """Record an MLflow model: `write` is called with the folder to make it in."""
        self._files("model", write)

    def close(self, state: State) -> Path | None:
        """End the run, and wait until everything is sent or has been tried again.

        An interrupt ends the waiting: what is not sent by then is kept, and the interrupt goes on.

        Returns:
            The folder with what could not be sent, None where everything was.
        """
        end_time = int(time.time() * 1000)
        self._queue.put(Delivery("state", {"status": state, "end_time": end_time}))
        self._queue.put(None)
        self._closing.set()
        try:
            self._thread.join()
        except KeyboardInterrupt:
            self._keep_undelivered()
            raise
        return self._keep_undelivered()

    def _keep_undelivered(self) -> Path | None:
        if not self._waiting:
            shutil.rmtree(self._folder, ignore_errors=True)
            return None
        kept = Path(FOLDER, "undelivered", self.run_id).absolute()
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(self._folder, kept)
        shutil.rmtree(self._folder, ignore_errors=True)
        path = kept / "deliveries.json"
        deliveries.write(self._waiting, path=path, run_id=self.run_id, uri=self.uri)
        self._say(
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

    def _files(self, kind: deliveries.Kind, write: Callable[[Path], None]) -> None:
        folder = Path(tempfile.mkdtemp(dir=self._folder, prefix=f"{kind}-"))
        write(folder)
        self._queue.put(Delivery(kind, {"folder": folder.name}))

    def _send_all(self) -> None:
        while (delivery := self._queue.get()) is not None:
            self._waiting.append(delivery)
            if not self._closing.is_set():
                self._send_waiting()
        for _ in range(_LAST_TRIES):
            if self._waiting:
                self._send_waiting()

    def _send_waiting(self) -> None:
        """Send what waits, in order; where that fails, come back later."""
        was_away = self._is_away
        while self._waiting:
            try:
                deliveries.send(
                    self._waiting[0],
                    client=self._client,
                    run_id=self.run_id,
                    folder=self._folder,
                )
            except Exception as error:  # the network, the server, the database or the disk
                if getattr(error, "error_code", "") == "INVALID_PARAMETER_VALUE":
                    what = self._waiting.pop(0).kind
                    self._say(f"The store refuses some {what} of the run: {first_line(error)}")
                    continue
                if not was_away:
                    self._is_away = True
                    self._say(
                        f"The store {self.uri} does not take what the run records: "
                        f"{first_line(error)} The run goes on; it is kept and sent later."
                    )
                self._closing.wait(_RETRY_SECONDS)
                return
            self._waiting.pop(0)
        if was_away:
            self._is_away = False
            self._say(f"The store {self.uri} is back; everything recorded so far is sent.")


def start(
    store: Store,
    *,
    experiment: str,
    name: str,
    description: str,
    say: Callable[[str], None],
    parent: str | None = None,
) -> Recorder:
    """Begin a run, in state RUNNING; under a parent run if there is one.

    Raises:
        TrackingError: if the store does not take it.
    """
    experiment_number = experiment_id(store, experiment)
    tags = {
        "mlflow.source.name": "pipeline",
        "mlflow.user": _user(),
        "mlflow.note.content": description,
        **({"mlflow.parentRunId": parent} if parent else {}),
    }
    try:
        run = store.client.create_run(experiment_number, run_name=name, tags=tags)
    except Exception as error:
        raise TrackingError(f"No run can be started in {store.uri}: {first_line(error)}") from None
    return Recorder(store, run, say)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return str(os.getuid())


def deliver(folder: Path, client: Any, run_id: str, waiting: list[Delivery]) -> None:
    """Send what an earlier run left in `folder`, and remove the folder.

    Raises:
        TrackingError: if something cannot be sent; it and what follows stay in the folder.
    """
    path = folder / "deliveries.json"
    _, uri, _ = deliveries.read(path)
    for position, delivery in enumerate(waiting):
        try:
            deliveries.send(delivery, client=client, run_id=run_id, folder=folder)
        except Exception as error:
            deliveries.write(waiting[position:], path=path, run_id=run_id, uri=uri)
            raise TrackingError(
                f"{uri} does not take what is in {folder}: {first_line(error)} "
                "What is left is kept there."
            ) from None
    shutil.rmtree(folder)
