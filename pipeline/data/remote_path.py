"""Paths of files and folders that are not on this machine, such as `s3://bucket/folder`."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from pipeline.addresses import protocol_of
from pipeline.secrets import mask_credentials

_WEB = ("https", "http")
# `file` and `memory` need no server, in tests and examples.
PROTOCOLS = ("s3", "s3a", "gs", "gcs", *_WEB, "file", "memory")
DEFAULT_CACHE_GB = 20.0  # GiB
DEFAULT_CACHE_BYTES = int(DEFAULT_CACHE_GB * 2**30)

FileState = tuple[int, int]  # size in bytes, -1 if unknown, and what changes with the content


@dataclass(frozen=True)
class RemoteFolder:
    """What is in a folder.

    Attributes:
        folders: the names of the folders in it, sorted.
        files: the names of the files in it, sorted.
    """

    folders: Sequence[str]
    files: Sequence[str]


@dataclass(frozen=True)
class RemoteTree:
    """The files below a folder at one time.

    Attributes:
        url: the folder.
        folders: it and the folders below it, by their paths relative to it.
        states: of the files, by their paths relative to it; None where the server does not tell.
    """

    url: str
    folders: Mapping[str, RemoteFolder]
    states: Mapping[str, FileState | None]


@dataclass(frozen=True)
class RemotePath:
    """A file or a folder of another machine, used as a `pathlib.Path` is.

    Text made of it has no password and no token. It can be sent to other processes, without the
    tree, and holds no connection.

    Attributes:
        url: its address, with all that it takes to read it.
        state: of a file, if it is known; in its place, a changed one is not read.
        tree: what is known of the folder that it is in, if that was listed.
    """

    url: str
    state: FileState | None = None
    tree: RemoteTree | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return mask_credentials(self.url)

    def __repr__(self) -> str:
        return f"RemotePath({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return RemotePath, (self.url, self.state)

    def __truediv__(self, name: str) -> RemotePath:
        path = RemotePath(f"{self.url}/{name.strip('/')}", tree=self.tree)
        state = self.tree.states.get(path.below(self.tree.url)) if self.tree else None
        return RemotePath(path.url, state, self.tree)

    @property
    def protocol(self) -> str:
        return protocol_of(self.url)

    @property
    def is_on_web(self) -> bool:
        """Whether a server answers for each file, which may list none."""
        return self.protocol in _WEB

    @property
    def is_local(self) -> bool:
        """Whether it is a file of this machine all the same."""
        return self.protocol == "file"

    @property
    def name(self) -> str:
        """The last part, without the query of a web address."""
        return self._path().rpartition("/")[2]

    @property
    def suffix(self) -> str:
        return posixpath.splitext(self.name)[1]

    @property
    def parent(self) -> RemotePath:
        """The folder that it is in; itself of a bucket or a host."""
        start = self.url.index("://") + 3
        above, _, _ = self._path()[start:].rpartition("/")
        return RemotePath(self.url[:start] + (above or self.url[start:]), tree=self.tree)

    def below(self, folder: str) -> str:
        """Return the path below the address of a folder that it is in."""
        return self.url[len(folder) :].strip("/")

    def listed(self, *, is_fresh: bool = False) -> RemotePath:
        """Return the path with what is below it, which takes requests unless that is known.

        Args:
            is_fresh: whether to list it now, instead of within the last minute.

        Raises:
            DataError: if the server does not answer or denies it.
        """
        if self.tree and not is_fresh:
            return self
        from pipeline.data.remote_files import list_tree

        return RemotePath(self.url, self.state, list_tree(self.url, is_fresh=is_fresh))

    def folder(self) -> RemoteFolder | None:
        """Return what is in the folder, None if there is no such folder.

        Raises:
            DataError: as `listed`.
        """
        tree = self.listed().tree
        assert tree
        return tree.folders.get(self.below(tree.url))

    def is_dir(self) -> bool:
        """Return whether there are files below it.

        Raises:
            DataError: as `listed`.
        """
        return self.folder() is not None

    def file_names(self, *, is_fresh: bool = False) -> list[str]:
        """Return the names of the files in the folder, not below it.

        Args:
            is_fresh: as `listed` takes it.

        Raises:
            DataError: as `listed`.
        """
        from pipeline.data.remote_files import list_states

        return list(list_states(self.url, is_fresh=is_fresh))

    def _path(self) -> str:
        return self.url.partition("?")[0] if self.is_on_web else self.url


AnyPath: TypeAlias = Path | RemotePath


def is_below(path: AnyPath, folder: AnyPath) -> bool:
    """Return whether a path is that of a folder, or below it."""
    if isinstance(path, RemotePath) and isinstance(folder, RemotePath):
        return path.url == folder.url or path.url.startswith(f"{folder.url}/")
    return isinstance(path, Path) and isinstance(folder, Path) and path.is_relative_to(folder)


def relative_path(path: AnyPath, folder: AnyPath) -> str:
    """Return a path relative to a folder if it is below it, empty of itself; else all of it."""
    if path == folder:
        return ""
    if isinstance(path, RemotePath) and isinstance(folder, RemotePath):
        return path.below(folder.url) if is_below(path, folder) else path.url
    return str(path.relative_to(folder) if is_below(path, folder) else path)  # type: ignore[arg-type, union-attr]


def suffix_of(name: str) -> str:
    """Return the suffix of a path or an address, in lower case, without the query of an address."""
    path = name.partition("?")[0] if protocol_of(name) else name
    return posixpath.splitext(path)[1].lower()


def any_path(text: str) -> AnyPath:
    """Return the path that a user has written: an address, or a path of this machine.

    Raises:
        ValueError: if it is an address with a protocol that is not one of `PROTOCOLS`, or without
            a bucket or a host.
    """
    protocol = protocol_of(text)
    if not protocol:
        return Path(text)
    place = text[text.index("://") + 3 :].strip("/")
    if protocol not in PROTOCOLS or not place or "\0" in text or "::" in text:
        starts = ", ".join(f"{each}://" for each in PROTOCOLS)
        raise ValueError(f"expected an address that begins with one of: {starts}")
    # The directory of a local file begins with /.
    root = "/" if protocol == "file" else ""
    return RemotePath(f"{protocol}://{root}{place}")
