"""Cache arrays on disk: features, indexes of image files.

An entry is a directory of files, most of them .npy. It is written atomically, under a temporary
name, flushed and renamed, and it holds a checksum of each file: a corrupt entry is computed again.
With a lock for each key, one process computes while others that need the same entry wait. Above a
limit of bytes, the least recently used entries of the same kind are removed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.atomic_files import fsync
from pipeline.errors import PipelineError
from pipeline.file_digests import file_digest
from pipeline.file_locks import file_lock

logger = logging.getLogger(__name__)

_META = "entry.json"


@dataclass(frozen=True)
class CacheEntry:
    """An entry of the cache.

    Attributes:
        key: hexadecimal.
        kind: what the limit of bytes applies to, such as `features`.
        size: bytes on disk.
        used: when it was last used, in seconds since 1970.
        label: a description for people.
    """

    key: str
    kind: str
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


def shard_directory() -> Path:
    """Return where parts of entries are that several machines compute."""
    return cache_directory() / "shards"


def cache_key(parts: Mapping[str, Any]) -> str:
    """Return the key of an entry that `parts`, serializable as JSON, determine."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:40]


def get_or_compute(
    key: str,
    compute: Callable[[Path], Mapping[str, Any]],
    *,
    kind: str,
    label: str,
    limit: int,
) -> CachedArrays:
    """Return the arrays of an entry, which are computed if they are absent or corrupt.

    Args:
        key: what `cache_key` returned.
        compute: writes files into an empty directory and returns facts about them that are
            serializable as JSON.
        kind: what the limit applies to, such as `features`.
        label: a description for people.
        limit: bytes that the entries of this kind may take; this entry stays even if it is larger.

    Raises:
        PipelineError: if the cache directory is not writable.
    """
    with locked(key):
        entry = read_entry(key, label=label)
        return entry or write_entry(key, compute, kind=kind, label=label, limit=limit)


@contextlib.contextmanager
def locked(key: str) -> Iterator[None]:
    """Let one process at a time read or write the entry of a key.

    Raises:
        PipelineError: if the cache directory is not writable, or its disk is full.
    """
    directory = cache_directory()
    lock = directory / f".{key}.lock"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock.touch()
    except OSError as error:
        raise PipelineError(
            f"Cannot write to the cache {directory}: {error.strerror}. Set PIPELINE_CACHE to "
            "another directory."
        ) from None
    try:
        with file_lock(lock):
            yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise PipelineError(
            f"Cannot write to the cache {directory}: {error.strerror}. Free disk space (pipeline "
            "cache --clear), or set PIPELINE_CACHE to another directory."
        ) from None


def read_entry(key: str, *, label: str) -> CachedArrays | None:
    """Return an entry that is `locked`; None, with a warning, if it is corrupt, or if it is absent.

    Args:
        key: of the entry.
        label: a description for people.
    """
    path = entry_directory(key)
    if not contains(key):
        return None
    if corrupt := _corrupt_file(path):
        logger.warning(f"{path / corrupt} is corrupt: computing {label} again")
        shutil.rmtree(path)
        return None
    os.utime(path / _META)
    return _load(path, was_cached=True)


def write_entry(
    key: str,
    compute: Callable[[Path], Mapping[str, Any]],
    *,
    kind: str,
    label: str,
    limit: int,
) -> CachedArrays:
    """Write or replace an entry that is `locked`, with the arguments of `get_or_compute`."""
    path = entry_directory(key)
    _write(path, compute, kind, label)
    _prune(limit, kind, keep=key)
    return _load(path, was_cached=False)


def contains(key: str) -> bool:
    return (entry_directory(key) / _META).is_file()


def entry_directory(key: str) -> Path:
    """Return the directory of an entry, for files other than arrays."""
    return cache_directory() / key


def list_entries() -> list[CacheEntry]:
    """Return the entries, most recently used first."""
    entries = []
    for meta in cache_directory().glob(f"*/{_META}"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            content = json.loads(meta.read_text(encoding="utf-8"))
            used = meta.stat().st_mtime
            facts = (content["kind"], content["size"], used, content["label"])
            entries.append(CacheEntry(meta.parent.name, *facts))
    return sorted(entries, key=lambda entry: entry.used, reverse=True)


def find_entries(kind: str, name: str, value: Any) -> list[CachedArrays]:
    """Return the intact entries of a kind of which a fact has this value."""
    found = []
    for entry in list_entries():
        path = entry_directory(entry.key)
        with contextlib.suppress(OSError, ValueError, KeyError):  # another process may remove it
            facts = json.loads((path / _META).read_text(encoding="utf-8"))["facts"]
            if entry.kind == kind and facts.get(name) == value and not _corrupt_file(path):
                found.append(_load(path, was_cached=True))
    return found


def clear() -> int:
    """Remove every entry and the leftovers of killed processes; return the bytes freed.

    Other files stay: PIPELINE_CACHE may be any directory.
    """
    entries = list_entries()
    for entry in entries:
        shutil.rmtree(entry_directory(entry.key), ignore_errors=True)
    for lock in cache_directory().glob(".*.lock"):
        key = lock.name[1 : -len(".lock")]
        for leftover in cache_directory().glob(f".{key}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        lock.unlink(missing_ok=True)
    shutil.rmtree(shard_directory(), ignore_errors=True)
    return sum(entry.size for entry in entries)


def free_bytes() -> int:
    """Return the free space of the disk that the cache is on."""
    path = cache_directory()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def _write(path: Path, compute: Callable[[Path], Mapping[str, Any]], kind: str, label: str) -> None:
    for leftover in path.parent.glob(f".{path.name}-*"):  # no other process holds this key's lock
        shutil.rmtree(leftover, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
    try:
        facts = compute(scratch)
        files = sorted(scratch.iterdir())
        meta = {
            "kind": kind,
            "label": label,
            "size": sum(file.stat().st_size for file in files),
            "facts": dict(facts),
            "digests": {file.name: file_digest(file) for file in files},
        }
        (scratch / _META).write_text(json.dumps(meta), encoding="utf-8")
        for file in (*files, scratch / _META, scratch):
            fsync(file)
        if path.exists():  # renamed, for it takes less time than to remove it
            path.rename(replaced := Path(f"{scratch}-replaced"))
            scratch.rename(path)
            shutil.rmtree(replaced, ignore_errors=True)
        else:
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
        with contextlib.suppress(OSError):
            if file_digest(path / name) == digest:
                continue
        return str(name)
    return None


def _load(path: Path, *, was_cached: bool) -> CachedArrays:
    arrays = {file.stem: np.load(file, mmap_mode="r") for file in sorted(path.glob("*.npy"))}
    facts = json.loads((path / _META).read_text(encoding="utf-8"))["facts"]
    return CachedArrays(arrays, facts, was_cached)


def _prune(limit: int, kind: str, *, keep: str) -> None:
    total = 0
    for entry in list_entries():
        if entry.kind != kind:
            continue
        total += entry.size
        if total > limit and entry.key != keep:
            # A process that has mapped its files can still read them.
            shutil.rmtree(entry_directory(entry.key), ignore_errors=True)
