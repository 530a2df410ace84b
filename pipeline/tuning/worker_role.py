"""The role of this process in a search on several machines, from environment variables."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field

from pipeline.errors import UsageError

_VARIABLES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
_KEY = "PIPELINE_SEARCH_KEY"
_MIN_KEY_CHARACTERS = 16


@dataclass(frozen=True)
class WorkerRole:
    """The role of a process in a search on several machines.

    Attributes:
        name: of the process.
        address: host and port of the chief.
        is_chief: whether it is the chief itself.
        key: shared by the chief and its workers.
    """

    name: str
    address: tuple[str, int]
    is_chief: bool
    key: bytes = field(repr=False)


def worker_role() -> WorkerRole | None:
    """Return the role that KerasTuner's environment variables give, None if they are not set.

    Raises:
        UsageError: if a variable is missing or wrong.
    """
    values = {name: os.environ.get(name, "") for name in _VARIABLES}
    if not any(values.values()):
        return None
    missing = [name for name, value in values.items() if not value]
    if missing:
        raise UsageError(
            f"A search on several machines needs {', '.join(_VARIABLES)}. Missing: "
            f"{', '.join(missing)}."
        )
    name, host, port = values.values()
    if not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UsageError(
            f"KERASTUNER_ORACLE_PORT: expected a number from 1 to 65535. Received '{port}'."
        )
    key = os.environ.get(_KEY, "")
    if len(key) < _MIN_KEY_CHARACTERS and not _is_loopback(host):
        raise UsageError(
            f"A search on several machines needs {_KEY}, a secret of at least "
            f"{_MIN_KEY_CHARACTERS} characters that is the same on every machine. Make one with: "
            'python -c "import secrets; print(secrets.token_hex(32))"'
        )
    return WorkerRole(name, (host, int(port)), "chief" in name, key.encode())  # as KerasTuner does


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
