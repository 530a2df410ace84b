"""Lists and reads files of other machines, through fsspec and a cache of whole files.

Credentials are those of the environment, as the package for the protocol finds them.
"""

from __future__ import annotations

import functools
import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from pipeline.addresses import protocol_of
from pipeline.data.remote_path import FileState, RemoteFolder, RemotePath, RemoteTree
from pipeline.download_cache import DownloadCache
from pipeline.errors import BadInputError, DataError, PipelineError, escape_unprintable, first_line
from pipeline.secrets import mask_credentials
from pipeline.storage import file_system

Result = TypeVar("Result")
_Folders = dict[str, tuple[set[str], list[str]]]  # the folders and the files in each

THREADS = 32  # hide the time that a server takes to answer

_DELAYS = (0.5, 2.0)  # seconds before another attempt
_LISTING_SECONDS = 60  # of which the checks of a recipe use one listing
# What changes with the content of a file: the first that a file system tells.
_VERSIONS = (
    *("ETag", "etag", "generation", "md5Hash", "Content-MD5"),
    *("LastModified", "Last-Modified", "mtime", "updated", "created"),
)
# Its length is checked, so that one request is enough for a file.
_READ_OPTIONS: Mapping[str, Mapping[str, Any]] = {"s3": {"max_concurrency": 1}}
_CREDENTIALS = {
    "s3": "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS",
}
_OTHER_NAMES = {"s3a": "s3", "gcs": "gs"}
_PERMANENT = (
    *(FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError),
    *(ImportError, ValueError, TypeError, KeyError, NotImplementedError),
)
_RETRIED_STATUSES = (408, 429)  # of those below 500


def list_tree(url: str, *, is_fresh: bool = False) -> RemoteTree:
    """Return the files below a folder; there are no folders if it does not exist.

    Names that are no paths, such as those with `..`, are left out.

    Args:
        url: the folder.
        is_fresh: whether to list it now, instead of within the last minute.

    Raises:
        DataError: if the server does not answer or denies it.
    """
    if is_fresh:
        return _list_tree(url)
    return _recent_tree(url, int(time.monotonic() // _LISTING_SECONDS))


def list_states(url: str, *, is_fresh: bool = False) -> Mapping[str, FileState | None]:
    """Return the files in a folder, but not below it, by their names.

    Args:
        url: the folder.
        is_fresh: as `list_tree` takes it.

    Raises:
        DataError: as `list_tree`.
    """
    if is_fresh:
        return _list_states(url)
    return _recent_states(url, int(time.monotonic() // _LISTING_SECONDS))


def find_matches(pattern: RemotePath) -> list[RemotePath]:
    """Return the files that a pattern such as `s3://bucket/shards-*.tar` matches, sorted.

    Raises:
        DataError: as `list_tree`.
    """
    folder = re.split(r"[*?[]", pattern.url)[0].rpartition("/")[0]
    found = _found(folder, lambda system: system.glob(pattern.url, detail=True))
    return [RemotePath(f"{folder}/{name}", state) for name, state in sorted(found)]


def file_states(paths: Sequence[RemotePath]) -> list[FileState | None]:
    """Return the states of files, which takes a request for each; None of one that is not there.

    Raises:
        DataError: if the server does not answer.
    """
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(_state_or_none, paths))


def read_remote_file(path: RemotePath, cache: DownloadCache) -> bytes:
    """Return the content of a file, which is downloaded unless the cache has it.

    Raises:
        BadInputError: if the file is gone, was changed since its state was taken, or is denied.
        DataError: if it cannot be downloaded after several attempts.
        PipelineError: if the package for the protocol is not installed.
    """
    try:
        size, version = path.state or _state(path)
        key = f"{path}\n{size}\n{version}" if version else f"{path.url}\n{size}"
        content = cache.read(key)
        if content is None:
            content = _download(path)
            if size not in (-1, len(content)):
                raise BadInputError("it was changed after it was listed")
            cache.write(key, content)
    except FileNotFoundError:
        raise BadInputError("there is no such file") from None
    except PermissionError as error:
        raise BadInputError(f"the server denies it: {_reason(error)}") from None
    return content


def read_start(path: RemotePath, size: int) -> bytes:
    """Return the first bytes of a file; nothing of one that is gone or denied.

    Raises:
        DataError: if the server does not answer.
    """
    if path.state and path.state[0] == 0:  # a server takes no range of nothing
        return b""
    try:
        return bytes(_attempt(path.url, lambda system: system.cat_file(path.url, 0, size)))
    except (FileNotFoundError, PermissionError):
        return b""


@functools.lru_cache(maxsize=2)
def _recent_tree(url: str, _: int) -> RemoteTree:
    return _list_tree(url)


@functools.lru_cache(maxsize=64)
def _recent_states(url: str, _: int) -> Mapping[str, FileState | None]:
    return _list_states(url)


def _list_states(url: str) -> Mapping[str, FileState | None]:
    def find(system: Any) -> dict[str, Any]:
        return {entry["name"]: entry for entry in system.ls(url, detail=True)}

    return {name: state for name, state in _found(url, find) if "/" not in name}


def _list_tree(url: str) -> RemoteTree:
    states = dict(_found(url, lambda system: system.find(url, detail=True)))
    folders: _Folders = {}
    for name in sorted(states):
        folder, _, file = name.rpartition("/")
        _add_folder(folders, folder)
        folders[folder][1].append(file)
    return RemoteTree(
        url,
        {name: RemoteFolder(sorted(inner), files) for name, (inner, files) in folders.items()},
        states,
    )


def _add_folder(folders: _Folders, path: str) -> None:
    """Add a folder, and those that it is in, unless they are there."""
    if path in folders:
        return
    folders[path] = (set(), [])
    if path:
        above, _, name = path.rpartition("/")
        _add_folder(folders, above)
        folders[above][0].add(name)


def _found(
    url: str, find: Callable[[Any], Mapping[str, Mapping[str, Any]]]
) -> list[tuple[str, FileState | None]]:
    """Return the names of files relative to a folder, and their states.

    Args:
        url: the folder.
        find: asks a file system for what is known of each path.

    Raises:
        DataError: if the server does not answer or denies it.
    """
    if "::" in url:  # in which fsspec sees several addresses
        return []
    start = len(file_system(url)[1].rstrip("/")) + 1
    try:
        found = _attempt(url, find)
    except FileNotFoundError:
        return []
    except PermissionError as error:
        raise DataError(
            f"{mask_credentials(url)} cannot be listed: {_reason(error)}. {_remedy(url)}."
        ) from None
    files = ((path[start:], facts) for path, facts in found.items() if facts["type"] == "file")
    return [(name, _state_of(facts)) for name, facts in files if _is_path(name)]


def _is_path(name: str) -> bool:
    return "\0" not in name and not any(part in ("", ".", "..") for part in name.split("/"))


def _state_or_none(path: RemotePath) -> FileState | None:
    try:
        return _state(path)
    except (FileNotFoundError, PermissionError):
        return None


def _state(path: RemotePath) -> FileState:
    facts = _attempt(path.url, lambda system: system.info(path.url))
    return _state_of(facts) or (_size(facts), 0)


def _state_of(facts: Mapping[str, Any]) -> FileState | None:
    version = next((str(facts[name]) for name in _VERSIONS if facts.get(name)), None)
    if version is None:
        return None
    digest = hashlib.sha256(version.encode("utf-8", "surrogatepass")).digest()
    return _size(facts), int.from_bytes(digest[:8], "little", signed=True)


def _size(facts: Mapping[str, Any]) -> int:
    size = facts.get("size")
    return -1 if size is None else int(size)


def _download(path: RemotePath) -> bytes:
    options = _READ_OPTIONS.get(_OTHER_NAMES.get(path.protocol, path.protocol), {})
    return bytes(_attempt(path.url, lambda system: system.cat_file(path.url, **options)))


def _attempt(url: str, request: Callable[[Any], Result]) -> Result:
    """Return what a request to a file system returns, after several attempts if it fails.

    Raises:
        FileNotFoundError: if the file is not there.
        PermissionError: if the server denies it.
        DataError: if it does not answer, or there are no credentials.
        PipelineError: if the package for the protocol is not installed.
    """
    # Without the path, in which `::` would stand between several addresses.
    system, _ = file_system(f"{protocol_of(url)}://")
    for delay in (*_DELAYS, None):
        try:
            return request(system)
        except (FileNotFoundError, PermissionError, PipelineError):
            raise
        except Exception as error:  # each file system has errors of its own
            if delay is None or _is_permanent(error):
                raise DataError(
                    f"{escape_unprintable(mask_credentials(url))} cannot be read: "
                    f"{_reason(error)}. {_remedy(url)}."
                ) from None
            time.sleep(delay)
    raise AssertionError("the last attempt returns or raises")


def _is_permanent(error: Exception) -> bool:
    status = getattr(error, "status", None)  # of an answer of a web server
    if isinstance(status, int):
        return status < 500 and status not in _RETRIED_STATUSES
    return isinstance(error, _PERMANENT) or _lacks_credentials(error)


def _lacks_credentials(error: Exception) -> bool:
    return type(error).__name__.endswith(("CredentialsError", "ProfileNotFound"))


def _reason(error: Exception) -> str:
    text = first_line(error).rstrip(".") or type(error).__name__
    return escape_unprintable(mask_credentials(text))


def _remedy(url: str) -> str:
    protocol = protocol_of(url)
    credentials = _CREDENTIALS.get(_OTHER_NAMES.get(protocol, protocol))
    if credentials is None:
        return "Check the address and the network"
    return f"Check the address, the network and the credentials in the environment: {credentials}"
