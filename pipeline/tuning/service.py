"""A search over several machines: KerasTuner's own chief and workers, and its service between them.

The chief owns the search; workers ask it for trials. What one tells the other travels in the values
of KerasTuner's trials, as text, because its numbers lose half of their digits on the way. The
service has no password: it is for a network that is trusted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from typing import Any, Literal, Protocol

import grpc
import keras_tuner
from keras_tuner.engine import trial as trials
from keras_tuner.src import protos
from keras_tuner.src.distribute import oracle_chief, oracle_client

from pipeline.errors import PipelineError
from pipeline.tuning.worker_role import WorkerRole

_SECONDS_TO_ANSWER = 60

Texts = dict[str, str]


class Chief(Protocol):
    """Who answers the workers; called by one thread at a time."""

    def begin(self, worker: str) -> tuple[str, Texts] | Literal["wait"] | None:
        """Return the key of a trial and what the worker has to know; None where all is done."""

    def epoch(self, key: str, row: Mapping[str, float]) -> bool:
        """Take the metrics of an epoch; return whether the trial should end."""

    def end(self, key: str, outcome: str) -> None:
        """Take the outcome of a trial."""

    def heard(self, key: str) -> None:
        """Take notice that the worker of a trial lives."""


@contextmanager
def served(chief: Chief, address: str) -> Iterator[None]:
    """Answer workers at an address for as long as this lasts.

    Raises:
        PipelineError: if the address cannot be used.
    """
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=1), options=[("grpc.so_reuseport", 0)]
    )
    protos.get_service_grpc().add_OracleServicer_to_server(
        oracle_chief.OracleServicer(_Oracle(chief)), server
    )
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise PipelineError(f"The chief cannot listen at {address}: {error}.") from None
    server.start()
    try:
        yield
    finally:
        server.stop(grace=1).wait()


class Worker:
    """Asks the chief for trials, by KerasTuner's own client."""

    def __init__(self, place: WorkerRole) -> None:
        self.place = place
        oracle_client.TIMEOUT = _SECONDS_TO_ANSWER  # KerasTuner waits an hour
        self._client = oracle_client.OracleClient(None)

    def next(self) -> tuple[str, Texts] | Literal["wait"] | None:
        """Return the key of a trial and what the chief says of it; None where all is done."""
        trial = self._asked(lambda: self._client.create_trial(self.place.name))
        if trial.status == trials.TrialStatus.IDLE:
            return "wait"
        if trial.status == trials.TrialStatus.STOPPED:
            return None
        return trial.trial_id, dict(trial.hyperparameters.values)

    def epoch(self, key: str, row: Mapping[str, float]) -> bool:
        """Report an epoch; return whether the trial should end."""
        trial = self._asked(lambda: self._client.update_trial(key, dict(row)))
        return bool(trial.status == trials.TrialStatus.STOPPED)

    def end(self, key: str, outcome: str) -> None:
        """Report the outcome of a trial."""
        trial = _trial(key, {"outcome": outcome}, trials.TrialStatus.COMPLETED)
        self._asked(lambda: self._client.end_trial(trial))

    def alive(self, key: str) -> None:
        """Tell the chief that the trial is being worked on."""
        self._asked(lambda: self._client.get_trial(key))

    def _asked(self, ask: Any) -> Any:
        try:
            return ask()
        except grpc.RpcError as error:
            details = getattr(error, "details", None)
            reason = details() if details else error
            raise PipelineError(
                f"The chief at {self.place.address} does not answer: {reason}."
            ) from None


class _Oracle:
    """The chief as KerasTuner's service asks it."""

    def __init__(self, chief: Chief) -> None:
        self._chief = chief

    def create_trial(self, tuner_id: str) -> trials.Trial:
        begun = self._chief.begin(tuner_id)
        if begun is None:
            return _trial("", {}, trials.TrialStatus.STOPPED)
        if begun == "wait":
            return _trial("", {}, trials.TrialStatus.IDLE)
        key, texts = begun
        return _trial(key, texts, trials.TrialStatus.RUNNING)

    def update_trial(
        self, trial_id: str, metrics: Mapping[str, float], step: int = 0
    ) -> trials.Trial:
        ends = self._chief.epoch(trial_id, dict(metrics))
        status = trials.TrialStatus.STOPPED if ends else trials.TrialStatus.RUNNING
        return _trial(trial_id, {}, status)

    def end_trial(self, trial: trials.Trial) -> None:
        self._chief.end(trial.trial_id, trial.hyperparameters.values["outcome"])

    def get_trial(self, trial_id: str) -> trials.Trial:
        self._chief.heard(trial_id)
        return _trial(trial_id, {}, trials.TrialStatus.RUNNING)


def _trial(key: str, texts: Texts, status: str) -> trials.Trial:
    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.values = dict(texts)
    return trials.Trial(hyperparameters, key, status)
