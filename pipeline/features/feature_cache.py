"""Arrays kept on disk under a key of everything that determines them.

An entry is a folder of .npy files that appears whole or not at all: it is written beside its place,
flushed, and renamed. It carries the digest of each file, and one that was damaged since is made
anew. A lock for each key lets one process compute while another that wants the same waits. Where
the entries exceed a limit, those used longest ago go.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.atomic_files import fsync
from pipeline.errors import PipelineError
from pipeline.file_locks import file_lock

logger = logging.getLogger(__name__)


_META = "entry.json"


@dataclass(frozen=True)
class CacheEntry:
    """What is kept under one key.

    Attributes:
        key: hexadecimal.
        size: bytes on disk.
        used: when it was last used, in seconds since the epoch.
        label: what it is, for people.
    """

    key: str
    size: int
    used: float
    label: str


@dataclass(frozen=True)
class CachedArrays:
    """What `get` returns.

    Attributes:
        arrays: memory-mapped, by the names of their files.
        facts: what was said about them when they were made.
        was_there: whether they were made by an earlier call.
    """

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]
    was_there: bool


def cache_directory() -> Path:
    """Return where entries are kept: PIPELINE_CACHE, or below the user's cache folder."""
    named = os.environ.get("PIPELINE_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "pipeline")


def cache_key(parts: Mapping[str, Any]) -> str:
    """Return the key of everything that determines an entry, given as JSON can hold it."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:40]


def get_or_compute(
    key: str,
    make: Callable[[Path], Mapping[str, Any]],
    *,
    label: str,
    limit: int,
) -> CachedArrays:
    """Return the arrays kept under a key, which are made if they are not there or damaged.

    Args:
        key: what `key_of` returned.
        make: writes .npy files into the empty folder that it is given, and returns what is worth
            knowing about them, as JSON can hold it.
        label: what they are, for people.
        limit: bytes that all entries may take together; this one stays even if it is larger.

    Raises:
        PipelineError: if the folder cannot be written to.
    """
    place, lock = cache_directory() / key, cache_directory() / f".{key}.lock"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    except OSError as error:
        raise PipelineError(
            f"Features cannot be kept in {place.parent}: {error.strerror}. Name another folder in "
            "PIPELINE_CACHE."
        ) from None
    with file_lock(lock):
        was_there = contains(key)
        if was_there and (damaged := _damaged(place)):
            logger.info(f"{place / damaged} is damaged: {label} is computed again")
            shutil.rmtree(place)
            was_there = False
        if not was_there:
            _write(place, make, label)
            _prune(limit, keep=key)
        os.utime(place / _META)
        facts = json.loads((place / _META).read_text(encoding="utf-8"))["facts"]
        return CachedArrays(_load(place), facts, was_there)


def contains(key: str) -> bool:
    """Return whether there is an entry under a key."""
    return (cache_directory() / key / _META).is_file()


def list_entries() -> list[CacheEntry]:
    """Return what is kept, the last used first."""
    found = []
    for meta in cache_directory().glob(f"*/{_META}"):
        with contextlib.suppress(OSError, ValueError):
            content = json.loads(meta.read_text(encoding="utf-8"))
            used = meta.stat().st_mtime
            found.append(CacheEntry(meta.parent.name, content["size"], used, content["label"]))
    return sorted(found, key=lambda entry: entry.used, reverse=True)


def clear() -> int:
    """Remove every entry and what a killed process left; return the bytes that are free again.

    Nothing else in the folder is touched: PIPELINE_CACHE may name any folder.
    """
    found = list_entries()
    for entry in found:
        shutil.rmtree(cache_directory() / entry.key, ignore_errors=True)
    for lock in cache_directory().glob(".*.lock"):
        key = lock.name[1 : -len(".lock")]
        for leftover in cache_directory().glob(f".{key}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        lock.unlink(missing_ok=True)
    return sum(entry.size for entry in found)


def free_bytes() -> int:
    """Return how much the disk that entries are kept on has left."""
    place = cache_directory()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def _write(place: Path, make: Callable[[Path], Mapping[str, Any]], label: str) -> None:
    for leftover in place.parent.glob(f".{place.name}-*"):  # this key's lock is ours
        shutil.rmtree(leftover, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}-"))
    try:
        facts = make(scratch)
        files = sorted(scratch.iterdir())
        meta = {
            "label": label,
            "size": sum(file.stat().st_size for file in files),
            "made": time.time(),
            "facts": dict(facts),
            "digests": {file.name: _digest(file) for file in files},
        }
        (scratch / _META).write_text(json.dumps(meta), encoding="utf-8")
        for file in (*files, scratch / _META, scratch):
            fsync(file)
        if place.exists():  # without its meta file: not whole
            shutil.rmtree(place)
        scratch.rename(place)
        fsync(place.parent)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _damaged(place: Path) -> str | None:
    """Return the name of a file of an entry that is not what was written, None if all are."""
    try:
        digests = json.loads((place / _META).read_text(encoding="utf-8"))["digests"]
    except (OSError, ValueError, KeyError, TypeError):
        return _META
    for name, digest in digests.items():
        try:
            if _digest(place / name) != digest:
                return str(name)
        except OSError:
            return str(name)
    return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load(place: Path) -> dict[str, np.ndarray]:
    return {file.stem: np.load(file, mmap_mode="r") for file in sorted(place.glob("*.npy"))}


def _prune(limit: int, *, keep: str) -> None:
    total = 0
    for entry in list_entries():
        total += entry.size
        if total > limit and entry.key != keep:
            # A process that has it mapped keeps reading what it mapped.
            shutil.rmtree(cache_directory() / entry.key, ignore_errors=True)
