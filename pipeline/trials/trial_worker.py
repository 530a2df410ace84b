"""A worker: it runs the trials that a pool sends over a connection, one after another.

Messages are JSON. The pool sends `trial` and `end`. The worker sends `epoch`, which the pool
answers with `stop`, then `outcome`; and `log` at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import signal
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pipeline.recipe.loader import LoadedRecipe, check_document, with_overrides
from pipeline.recipe.yaml_reader import Document
from pipeline.trials.search_state import values_of
from pipeline.trials.trial import EpochMetrics, TrialOutcome, run_trial
from pipeline.trials.trial_trainer import TrialTrainer
from pipeline.tuning.search_space import resolve

_MAX_BYTES = 2**26  # of a message


def send(connection: Connection, kind: str, **content: Any) -> None:
    """Send a message.

    Raises:
        OSError: if the connection is lost.
    """
    connection.send_bytes(json.dumps({"message": kind, **content}).encode())


def receive(connection: Connection) -> dict[str, Any]:
    """Wait for a message and return it.

    Raises:
        EOFError, OSError: if the connection is lost.
        ValueError: if it is no message.
    """
    return dict(json.loads(connection.recv_bytes(_MAX_BYTES)))


def run_trials(
    connection: Connection, loaded: LoadedRecipe, trainer: TrialTrainer
) -> Iterator[tuple[int, TrialOutcome]]:
    """Run trials until the pool sends `end`; yield the number and the outcome of each.

    Raises:
        EOFError, OSError: if the connection is lost.
    """
    tuning = loaded.recipe.tuning
    assert tuning is not None
    space, _ = resolve(tuning.space)

    def should_stop(rows: Sequence[EpochMetrics]) -> bool:
        send(connection, "epoch", metrics=rows[-1])
        return bool(receive(connection)["stop"])

    while (order := receive(connection))["message"] == "trial":
        recipe = with_overrides(loaded, values_of(space, order["proposal"])).recipe
        outcome = run_trial(recipe, trainer, tuning, should_stop)
        send(connection, "outcome", outcome=dataclasses.asdict(outcome))
        yield order["number"], outcome


class _LogSender(logging.Handler):
    """Sends log records over a connection."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        with contextlib.suppress(OSError):
            send(self._connection, "log", logger=record.name, level=record.levelno, text=text)


def main(connection: Connection, document: Document, name: str) -> None:
    """Run trials in a process of its own until the parent closes the connection.

    Args:
        connection: to the parent.
        document: of the recipe, which itself cannot be pickled.
        name: of the recipe.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this one
    logging.getLogger("pipeline").addHandler(_LogSender(connection))
    logging.getLogger("pipeline").setLevel(logging.INFO)
    recipe, warnings = check_document(document, name=name)
    loaded = LoadedRecipe(Path(name), recipe, document, "", (), warnings)
    with contextlib.suppress(EOFError, OSError):
        for _ in run_trials(connection, loaded, TrialTrainer()):
            pass
