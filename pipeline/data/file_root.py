"""The place that the files of a data set are relative to, on this machine or another one.

Everything that reads the files of a data set, or asks for their state, does it here.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.addresses import protocol_of
from pipeline.data.image_decoding import MAX_BYTES, BadImageError, read_image_file
from pipeline.data.remote_files import THREADS, file_states, list_states, read_remote_file
from pipeline.data.remote_path import (
    DEFAULT_CACHE_BYTES,
    AnyPath,
    FileState,
    RemotePath,
    any_path,
)
from pipeline.download_cache import DownloadCache
from pipeline.errors import BadInputError

NO_STATE: FileState = (-1, np.iinfo(np.int64).min)  # of a file that is not there

_STATES_PER_TASK = 4096
_STATE_THREADS = 16  # hide the latency of a network file system
_MIN_LISTED = 50  # of files in a folder, from which on it is listed instead


@dataclass(frozen=True)
class FileRoot:
    """A directory or a remote folder. It can be sent to other processes, and holds no connection.

    Names are relative to it; paths of this machine that are absolute, and addresses, are names too.

    Attributes:
        path: the directory or the folder.
        cache_bytes: what the downloaded files of this machine may take together.
    """

    path: AnyPath
    cache_bytes: int = DEFAULT_CACHE_BYTES

    def __str__(self) -> str:
        return str(self.path)

    @property
    def key(self) -> str:
        """What tells it from other roots, without passwords and tokens."""
        return str(self.path) if isinstance(self.path, RemotePath) else os.path.realpath(self.path)

    def without_listing(self) -> FileRoot:
        """Return it without what is known of a remote folder, which may be large."""
        if isinstance(self.path, RemotePath):
            return replace(self, path=RemotePath(self.path.url))
        return self

    def join(self, name: str) -> AnyPath:
        """Return the path of a file."""
        return any_path(name) if protocol_of(name) else self.path / name

    def states(self, names: Sequence[str]) -> np.ndarray:
        """Return the state of each file, int64 (n, 2); `NO_STATE` of one that is not there.

        It is the size and the modification time, in nanoseconds, of a file of this machine, and
        the size and a digest of the version of another one.

        Raises:
            DataError: if a server does not answer.
        """
        remote = self._remote_numbers(names)
        states = np.empty((len(names), 2), np.int64)
        if len(remote) < len(names):
            self._take_local_states(names, states)
        if remote:
            paths = (self.join(names[number]) for number in remote)
            found = _remote_states([path for path in paths if isinstance(path, RemotePath)])
            states[remote] = found
        return states

    def read(self, name: str, state: FileState | None = None) -> bytes:
        """Return the content of a file.

        Args:
            name: of the file.
            state: of a remote file, if it is known.

        Raises:
            BadImageError: if it cannot be read, is not a regular file or is too large.
            DataError: if it cannot be downloaded.
        """
        path = self.join(name)
        if state and state != NO_STATE and isinstance(path, RemotePath):
            path = RemotePath(path.url, state)
        return read_any_file(path, self.cache_bytes)

    def read_several(
        self, names: Sequence[str], states: np.ndarray | None = None
    ) -> Iterator[bytes]:
        """Yield the contents of files in order, of remote ones several at a time.

        Args:
            names: of the files.
            states: int64 (n, 2), of remote files; None if they are unknown.

        Raises:
            BadImageError: as `read`, when it is the turn of a file.
            DataError: likewise.
        """
        if not self._has_remote(names):
            yield from map(self.read, names)
            return
        threads = ThreadPoolExecutor(max(min(THREADS, len(names)), 1))
        try:
            known = [None] * len(names) if states is None else [*map(tuple, states.tolist())]
            yield from threads.map(self.read, names, known)
        finally:
            threads.shutdown(cancel_futures=True)

    def reading_threads(self, names: Sequence[str]) -> int:
        """Return how many threads read files fastest: more of remote ones, which are waited for."""
        return THREADS if self._has_remote(names) else os.cpu_count() or 1

    def has(self, name: str) -> bool:
        """Return whether a file is there; True of one on a web server, which is not asked."""
        path = self.join(name)
        if isinstance(path, RemotePath):
            tree = path.tree
            return not tree or path.below(tree.url) in tree.states
        return os.path.exists(path)  # noqa: PTH110, called for each file

    def local_copy(self, name: str, directory: Path) -> Path:
        """Return the path of a file of this machine, and of a copy in a directory of another one.

        Raises:
            BadImageError: as `read`.
            DataError: likewise.
        """
        path = self.join(name)
        if isinstance(path, Path):
            return path
        copy = directory / f"{len(list(directory.iterdir()))}"
        copy.write_bytes(self.read(name))
        return copy

    def describe_overflow(self, names: Sequence[str], sizes: np.ndarray) -> str | None:
        """Return a warning if remote files do not fit in the cache of downloaded files.

        Args:
            names: of the files.
            sizes: int (n,), in bytes; below 0 if unknown.
        """
        remote = self._remote_numbers(names)
        size = int(np.maximum(sizes[remote], 0).sum())
        if size <= self.cache_bytes:
            return None
        return (
            f"The images take {size / 2**30:.3g} GiB, and data.cache_gb keeps "
            f"{self.cache_bytes / 2**30:.3g} GiB of downloaded files: each epoch downloads again "
            "what was removed. Increase data.cache_gb if the disk has the space."
        )

    def _remote_numbers(self, names: Sequence[str]) -> list[int]:
        """Return the indices of the files that are not on this machine."""
        if isinstance(self.path, RemotePath):
            return list(range(len(names)))
        return [number for number, name in enumerate(names) if protocol_of(name)]

    def _has_remote(self, names: Sequence[str]) -> bool:
        return isinstance(self.path, RemotePath) or any(map(protocol_of, names))

    def _take_local_states(self, names: Sequence[str], states: np.ndarray) -> None:
        root = str(self.path)

        def take(start: int) -> None:
            for number in range(start, min(start + _STATES_PER_TASK, len(names))):
                try:
                    status = os.stat(os.path.join(root, names[number]))  # noqa: PTH116, PTH118
                    states[number] = status.st_size, status.st_mtime_ns
                except (OSError, ValueError):  # a name may be no name that a file can have
                    states[number] = NO_STATE

        with ThreadPoolExecutor(_STATE_THREADS) as threads:
            list(threads.map(take, range(0, len(names), _STATES_PER_TASK)))


def read_any_file(path: AnyPath, cache_bytes: int = DEFAULT_CACHE_BYTES) -> bytes:
    """Return the content of an image file of this machine or another one.

    Args:
        path: as `any_path` returns it.
        cache_bytes: what the downloaded files of this machine may take together.

    Raises:
        BadImageError: if it cannot be read, is not a regular file, or is larger than `MAX_BYTES`.
        DataError: if it cannot be downloaded after several attempts.
    """
    if not isinstance(path, RemotePath):
        return read_image_file(path)
    if path.state and path.state[0] > MAX_BYTES:
        raise BadImageError(f"larger than {MAX_BYTES:,} bytes")
    try:
        return read_remote_file(path, DownloadCache(cache_bytes))
    except BadInputError as error:
        raise BadImageError(str(error)) from None


def _remote_states(paths: Sequence[RemotePath]) -> list[FileState]:
    """Return the states of remote files: those that are listed, then of folders with many files."""
    states = [path.state for path in paths]
    in_folder = defaultdict[str, list[int]](list)
    for number, path in enumerate(paths):
        if states[number] is None and not path.tree:
            in_folder[path.parent.url].append(number)
    for folder, numbers in in_folder.items():
        if len(numbers) >= _MIN_LISTED and not paths[numbers[0]].is_on_web:
            listed = list_states(folder, is_fresh=True)
            for number in numbers:
                states[number] = listed.get(paths[number].name, NO_STATE)
    unknown = [number for number, state in enumerate(states) if state is None]
    for number, state in zip(
        unknown, file_states([paths[number] for number in unknown]), strict=True
    ):
        states[number] = state or NO_STATE
    return [state or NO_STATE for state in states]
