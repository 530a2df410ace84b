"""The role of this process in a search on several machines, from environment variables."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from pipeline.errors import UsageError

_KERAS_TUNER = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
_VARIABLES = (*_KERAS_TUNER, "PIPELINE_SEARCH_KEY")


@dataclass(frozen=True)
class WorkerRole:
    """The role of a process in a search on several machines.

    Attributes:
        name: of the process.
        address: host and port of the chief.
        is_chief: whether it is the chief itself.
        key: the secret that the chief and its workers share.
    """

    name: str
    address: tuple[str, int]
    is_chief: bool
    key: bytes = field(repr=False)

    @property
    def chief(self) -> str:
        """The address of the chief as `HOST:PORT`."""
        return "{}:{}".format(*self.address)


def worker_role() -> WorkerRole | None:
    """Return the role that environment variables give, None without those of KerasTuner.

    Raises:
        UsageError: if a variable is missing or wrong.
    """
    values = {name: os.environ.get(name, "") for name in _VARIABLES}
    if not any(values[name] for name in _KERAS_TUNER):
        return None
    missing = [name for name, value in values.items() if not value]
    if missing:
        raise UsageError(
            f"A search on several machines needs {', '.join(_VARIABLES)}. Missing: "
            f"{', '.join(missing)}. The key is the same on every machine. Make one with: "
            'python -c "import secrets; print(secrets.token_hex(32))"'
        )
    name, host, port, key = values.values()
    if not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UsageError(
            f"KERASTUNER_ORACLE_PORT: expected a number from 1 to 65535. Received '{port}'."
        )
    return WorkerRole(name, (host, int(port)), "chief" in name, key.encode())  # as in KerasTuner
