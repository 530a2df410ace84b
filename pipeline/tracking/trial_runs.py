"""The trials of a search as runs under its run, written whole by a thread, one after another."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow.entities import Metric, Param, RunTag

from pipeline.tracking.outbox import sanitize_metric_name
from pipeline.tracking.run_logger import RunStatus
from pipeline.tracking.store import Store, error_summary

logger = logging.getLogger(__name__)

TRIAL = "trial"  # the tag with a trial's number

_MOST_METRICS = 1000  # that MLflow takes at once
_MOST_PARAMETERS = 100


@dataclass(frozen=True)
class TrialRun:
    """A trial.

    Attributes:
        number: of the trial.
        name: of the run.
        state: how it ended.
        start, end: in seconds since 1970.
        parameters: what it was made with.
        tags: what else is to be known.
        metrics: the final ones.
        rows: the metrics of each epoch.
        times: when each epoch ended, in seconds since 1970.
        files: texts by name.
    """

    number: int
    name: str
    state: RunStatus
    start: float
    end: float
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    rows: Sequence[Mapping[str, float]]
    times: Sequence[float]
    files: Mapping[str, str]


class TrialRunWriter:
    """Writes the runs of a search's trials, and knows which are there."""

    def __init__(self, store: Store, parent: str) -> None:
        """Begin to write.

        Args:
            store: holds the run of the search.
            parent: the id of that run.
        """
        self._client = store.client
        self._uri = store.uri
        self._parent = parent
        self._experiment = self._client.get_run(parent).info.experiment_id
        self._queue: queue.SimpleQueue[TrialRun | None] = queue.SimpleQueue()
        self._left: list[TrialRun] = []
        found = self._existing()
        self.written = {
            number for number, run in found.items() if run.info.status in ("FINISHED", "FAILED")
        }
        self._ids = {number: run.info.run_id for number, run in found.items()}
        self._thread = threading.Thread(target=self._write_all, daemon=True, name="children")
        self._thread.start()

    def put(self, child: TrialRun) -> None:
        """Write a trial's run soon; one that is there already is completed, not doubled."""
        self._queue.put(child)

    def close(self, within: float | None = None) -> int:
        """Wait until everything is written; return how many trials could not be.

        Args:
            within: seconds to wait at most.
        """
        self._queue.put(None)
        self._thread.join(within)
        return len(self._left)

    def _existing(self) -> dict[int, Any]:
        found: dict[int, Any] = {}
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment],
                filter_string=f"tags.`mlflow.parentRunId` = '{self._parent}'",
                max_results=1000,
                page_token=token,
            )
            found |= {int(run.data.tags[TRIAL]): run for run in page if TRIAL in run.data.tags}
            token = page.token
            if not token:
                return found

    def _write_all(self) -> None:
        while (child := self._queue.get()) is not None:
            self._left.append(child)
            self._write_left()
        self._write_left()

    def _write_left(self) -> None:
        while self._left:
            try:
                self._write(self._left[0])
            except Exception as error:  # the network, the server, the database or the disk
                logger.info(
                    f"Trial {self._left[0].number} cannot be written to {self._uri} now: "
                    f"{error_summary(error)} It is in the search's journal."
                )
                return
            self._left.pop(0)

    def _write(self, child: TrialRun) -> None:
        start, end = int(child.start * 1000), int(child.end * 1000)
        run_id = self._ids.get(child.number)
        if run_id is None:
            tags = {
                "mlflow.parentRunId": self._parent,
                "mlflow.source.name": "pipeline",
                TRIAL: str(child.number),
            }
            run = self._client.create_run(
                self._experiment, start_time=start, run_name=child.name, tags=tags
            )
            run_id = self._ids[child.number] = run.info.run_id
        final = [Metric(sanitize_metric_name(k), v, end, 0) for k, v in child.metrics.items()]
        by_epoch = [
            Metric(f"epoch/{name}", value, int(ended * 1000), epoch)
            for epoch, (row, ended) in enumerate(zip(child.rows, child.times, strict=True), start=1)
            for name, value in row.items()
        ]
        metrics = [*final, *by_epoch]
        parameters = [Param(key, value) for key, value in child.parameters.items()]
        marks = [RunTag(key, value[:5000]) for key, value in child.tags.items()]
        for i in range(0, max(len(parameters), 1), _MOST_PARAMETERS):
            self._client.log_batch(
                run_id,
                params=parameters[i : i + _MOST_PARAMETERS],
                tags=marks if i == 0 else [],
                metrics=metrics[:_MOST_METRICS] if i == 0 else [],
            )
        for i in range(_MOST_METRICS, len(metrics), _MOST_METRICS):
            self._client.log_batch(run_id, metrics=metrics[i : i + _MOST_METRICS])
        for name, text in child.files.items():
            self._client.log_text(run_id, text, name)
        self._client.set_terminated(run_id, status=child.state, end_time=end)
