"""Cache arrays on disk under a key of everything that determines them.

An entry is a directory of .npy files. It is written atomically, under a temporary name, flushed and
renamed, and it holds a checksum of each file: a corrupt entry is computed again. With a lock for
each key, one process computes while others that need the same entry wait. Above a limit of bytes,
the least recently used entries are removed.
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
    """An entry of the cache.

    Attributes:
        key: hexadecimal.
        size: bytes on disk.
        used: when it was last used, in seconds since 1970.
        label: a description for people.
    """

    key: str
    size: int
    used: float
    label: str


@dataclass(frozen=True)
class CachedArrays:
    """The arrays of an entry.

    Attributes:
        arrays: memory-mapped, by the names of their files.
        facts: what the function that computed them returned.
        was_cached: whether an earlier call computed them.
    """

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]
    was_cached: bool


def cache_directory() -> Path:
    """Return PIPELINE_CACHE or, if it is not set, `pipeline` in the user's cache directory."""
    path = os.environ.get("PIPELINE_CACHE")
    if path:
        return Path(path)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "pipeline")


def cache_key(parts: Mapping[str, Any]) -> str:
    """Return the key of an entry that `parts`, serializable as JSON, determine."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:40]


def get_or_compute(
    key: str,
    compute: Callable[[Path], Mapping[str, Any]],
    *,
    label: str,
    limit: int,
) -> CachedArrays:
    """Return the arrays of an entry, which are computed if they are absent or corrupt.

    Args:
        key: what `cache_key` returned.
        compute: writes .npy files into an empty directory and returns facts about them that are
            serializable as JSON.
        label: a description for people.
        limit: bytes that the whole cache may take; this entry stays even if it is larger.

    Raises:
        PipelineError: if the cache directory is not writable.
    """
    path, lock = cache_directory() / key, cache_directory() / f".{key}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    except OSError as error:
        raise PipelineError(
            f"Cannot write features to {path.parent}: {error.strerror}. Set PIPELINE_CACHE to "
            "another directory."
        ) from None
    with file_lock(lock):
        was_cached = contains(key)
        if was_cached and (corrupt := _corrupt_file(path)):
            logger.warning(f"{path / corrupt} is corrupt: computing {label} again")
            shutil.rmtree(path)
            was_cached = False
        if not was_cached:
            _write(path, compute, label)
            _prune(limit, keep=key)
        os.utime(path / _META)
        facts = json.loads((path / _META).read_text(encoding="utf-8"))["facts"]
        return CachedArrays(_load(path), facts, was_cached)


def contains(key: str) -> bool:
    return (cache_directory() / key / _META).is_file()


def list_entries() -> list[CacheEntry]:
    """Return the entries, most recently used first."""
    entries = []
    for meta in cache_directory().glob(f"*/{_META}"):
        with contextlib.suppress(OSError, ValueError):
            content = json.loads(meta.read_text(encoding="utf-8"))
            used = meta.stat().st_mtime
            entries.append(CacheEntry(meta.parent.name, content["size"], used, content["label"]))
    return sorted(entries, key=lambda entry: entry.used, reverse=True)


def clear() -> int:
    """Remove every entry and the leftovers of killed processes; return the bytes freed.

    Other files stay: PIPELINE_CACHE may be any directory.
    """
    entries = list_entries()
    for entry in entries:
        shutil.rmtree(cache_directory() / entry.key, ignore_errors=True)
    for lock in cache_directory().glob(".*.lock"):
        key = lock.name[1 : -len(".lock")]
        for leftover in cache_directory().glob(f".{key}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        lock.unlink(missing_ok=True)
    return sum(entry.size for entry in entries)


def free_bytes() -> int:
    """Return the free space of the disk that the cache is on."""
    path = cache_directory()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def _write(path: Path, compute: Callable[[Path], Mapping[str, Any]], label: str) -> None:
    for leftover in path.parent.glob(f".{path.name}-*"):  # no other process holds this key's lock
        shutil.rmtree(leftover, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
    try:
        facts = compute(scratch)
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
        if path.exists():  # without its meta file: incomplete
            shutil.rmtree(path)
        scratch.rename(path)
        fsync(path.parent)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _corrupt_file(path: Path) -> str | None:
    """Return the name of a file of an entry that has another checksum or is gone, if any."""
    try:
        digests = json.loads((path / _META).read_text(encoding="utf-8"))["digests"]
    except (OSError, ValueError, KeyError, TypeError):
        return _META
    for name, digest in digests.items():
        try:
            if _digest(path / name) != digest:
                return str(name)
        except OSError:
            return str(name)
    return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load(path: Path) -> dict[str, np.ndarray]:
    return {file.stem: np.load(file, mmap_mode="r") for file in sorted(path.glob("*.npy"))}


def _prune(limit: int, *, keep: str) -> None:
    total = 0
    for entry in list_entries():
        total += entry.size
        if total > limit and entry.key != keep:
            # A process that has mapped its files can still read them.
            shutil.rmtree(cache_directory() / entry.key, ignore_errors=True)
