"""What this process is in a search over several machines, as KerasTuner's variables say."""

from __future__ import annotations

import os
from dataclasses import dataclass

from pipeline.errors import UsageError

_VARIABLES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")


@dataclass(frozen=True)
class WorkerRole:
    """A process in a search over several machines.

    Attributes:
        name: of the process.
        address: host and port of the chief.
        is_chief: whether it is the chief itself.
    """

    name: str
    address: str
    is_chief: bool


def worker_role() -> WorkerRole | None:
    """Return what the environment makes of this process, None where it names no chief.

    Raises:
        UsageError: if it names one by halves.
    """
    given = {name: os.environ.get(name, "") for name in _VARIABLES}
    if not any(given.values()):
        return None
    missing = [name for name, value in given.items() if not value]
    if missing:
        raise UsageError(
            f"A search over several machines needs {', '.join(_VARIABLES)}. Missing: "
            f"{', '.join(missing)}."
        )
    name, host, port = given.values()
    return WorkerRole(name, f"{host}:{port}", "chief" in name)  # KerasTuner's own rule
