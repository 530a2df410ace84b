"""Remembers which model a reference means in a SQLite store, until something is written to that.

So a model is found without MLflow, which takes more than a second to import. Each transaction
changes a number in the header of the database (https://www.sqlite.org/fileformat.html, section
1.3.7). With another number, size, time or file, everything that was remembered is forgotten.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.array_cache import cache_directory
from pipeline.tracking.stored_model import StoredModel
from pipeline.tracking.tracking_uri import sqlite_file

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_LEGACY = 1  # the format of a database without a write-ahead log, which would keep the header
_MAX_REFERENCES = 100

State = list[Any]


def state_of(address: str) -> State | None:
    """Return what changes with each transaction of a SQLite store.

    Args:
        address: the tracking URI.

    Returns:
        None for a store of another kind, and while another process writes to it.
    """
    path = sqlite_file(address)
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            header, status = file.read(_HEADER_BYTES), os.fstat(file.fileno())
    except OSError:
        return None
    if not header.startswith(_MAGIC) or len(header) < _HEADER_BYTES or header[18] != _LEGACY:
        return None
    if any(Path(f"{path}-{suffix}").exists() for suffix in ("journal", "wal")):
        return None
    identity = [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns]
    return [*identity, int.from_bytes(header[24:28])]


def recall(address: str, reference: str) -> StoredModel | None:
    """Return the model that a reference means in a store, None if that is not known.

    Args:
        address: the tracking URI.
        reference: a run's id or name, or `latest`.
    """
    state = state_of(address)
    content = {} if state is None else _read(address)
    if content.get("state", state) != state:
        return None
    try:
        return StoredModel(**content["models"][reference])
    except (KeyError, TypeError):
        return None


def remember(address: str, reference: str, model: StoredModel, state: State | None) -> None:
    """Remember the model that a reference means.

    Args:
        address: as `recall` takes it.
        reference: as `recall` takes it.
        model: what it means.
        state: of the store before the model was looked up. If it has another one now, nothing is
            remembered.
    """
    if state is None or state != state_of(address):
        return
    content = _read(address)
    models = content.get("models", {}) if content.get("state") == state else {}
    newest = list(models.items())[-_MAX_REFERENCES:]
    known = {"state": state, "models": {**dict(newest), reference: asdict(model)}}
    path = _path(address)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.part")
    with contextlib.suppress(OSError):  # a directory that is not writable, or a full disk
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(json.dumps(known), "utf-8")
        scratch.replace(path)


def _read(address: str) -> dict[str, Any]:
    try:
        content = json.loads(_path(address).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _path(address: str) -> Path:
    digest = hashlib.sha256(str(sqlite_file(address)).encode("utf-8", "surrogateescape"))
    return cache_directory() / f"lookups-{digest.hexdigest()[:16]}.json"
