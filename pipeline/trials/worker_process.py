"""A process that runs the trials it is told of. It imports no engine before it has to."""

from __future__ import annotations

import logging
import os
import signal
from dataclasses import dataclass
from logging.handlers import QueueHandler
from typing import Any

from pipeline.recipe.loader import check_document
from pipeline.recipe.yaml_reader import Document
from pipeline.trials.pruning import StoppingRule
from pipeline.trials.trial import run_trial
from pipeline.trials.trial_trainer import TrialTrainer


@dataclass(frozen=True)
class Order:
    """A trial as another process is told of it: plain values, for a recipe cannot be pickled."""

    document: Document
    name: str
    objective: str
    executions: int
    rule: StoppingRule


class _SendToParent(QueueHandler):
    """Sends log records over a connection, which stands in for the queue."""

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self._connection = connection

    def enqueue(self, record: logging.LogRecord) -> None:
        self._connection.send(("log", record))


def work(orders: Any) -> None:
    """Run trials until the process that gives them is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that gives them
    logging.getLogger("pipeline").addHandler(_SendToParent(orders))
    logging.getLogger("pipeline").setLevel(logging.INFO)
    bench = TrialTrainer()
    first = 0
    try:
        while True:
            order: Order = orders.recv()
            recipe, _ = check_document(order.document, name=order.name)
            outcome = run_trial(
                recipe,
                bench,
                objective=order.objective,
                executions=order.executions,
                should_stop=order.rule,
            )
            used = _memory()
            first = first or used
            orders.send(("outcome", (outcome, used - first)))
    except (EOFError, OSError):
        return


def _memory() -> int:
    """Return the memory in use, in bytes; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
