"""The journal of a search: one line of JSON for each event, on the disk before it takes effect.

The events are `search`, `images`, `started`, `finished`, `duplicate` and `completed`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.secrets import mask_values
from pipeline.trials.trial import TrialOutcome

FOLDER = Path("mlruns", "searches")
_FILE = "journal.jsonl"

Event = dict[str, Any]


class Journal:
    """An append-only file of events; an incomplete last line is removed."""

    def __init__(self, folder: Path, secrets: Mapping[str, str] | None = None) -> None:
        """Open the journal in a folder, which is created if it does not exist.

        Args:
            folder: of the journal.
            secrets: the placeholder of each secret value that must not be written.

        Raises:
            UsageError: if it cannot be read or is corrupt.
        """
        self.folder = folder
        self._secrets = secrets or {}
        path = folder / _FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            data = path.read_bytes() if path.exists() else b""
            whole = data[: data.rfind(b"\n") + 1]
            self.events: list[Event] = [json.loads(line) for line in whole.splitlines()]
            if len(whole) < len(data):
                os.truncate(path, len(whole))
        except (OSError, ValueError) as error:
            raise UsageError(f"The journal of a search, {path}, is not usable: {error}.") from None

    def append(self, kind: str, **content: Any) -> None:
        """Write an event to the disk."""
        event = mask_values({"event": kind, **content}, self._secrets)
        with (self.folder / _FILE).open("ab") as file:
            file.write(json.dumps(event, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.events.append(event)

    def of(self, kind: str) -> Iterator[Event]:
        """Yield the events of one kind, in order."""
        return (event for event in self.events if event["event"] == kind)


def header_of(folder: Path) -> Event | None:
    """Return the first event of the journal in a folder, None where there is none."""
    try:
        with (folder / _FILE).open("rb") as file:
            event = json.loads(file.readline())
    except (OSError, ValueError):
        return None
    return event if event.get("event") == "search" else None


def is_finished(folder: Path) -> bool:
    """Return whether the search in a folder is complete."""
    try:
        return b'\n{"event": "completed"' in (folder / _FILE).read_bytes()
    except OSError:
        return True


def outcome_from_json(content: dict[str, Any]) -> TrialOutcome:
    """Return the outcome that was written as JSON with `dataclasses.asdict`."""
    lists = {name: tuple(content[name]) for name in ("scores", "rows", "times")}
    return TrialOutcome(**{**content, **lists})
