"""Finds images, tar files and tables in storage that fsspec reaches."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.data.file_walk import is_hidden
from pipeline.data.image_formats import SUFFIXES
from pipeline.data.splits import describe_ignored
from pipeline.errors import PipelineError, UsageError, first_line
from pipeline.storage import file_system

logger = logging.getLogger(__name__)

# What file systems call the things that change with a file's content.
_VERSION_KEYS = ("size", "ETag", "etag", "LastModified", "mtime", "md5Hash", "generation")


def find_remote_files(address: str) -> Iterator[tuple[str, str]]:
    """Yield the addresses of the files that an address or a pattern names, with their versions.

    A folder means the images below it, by their suffixes.

    Args:
        address: of a file or a folder, or a pattern such as `s3://bucket/photographs-*.tar`.

    Raises:
        UsageError: if there is none, or the storage does not answer.
    """
    system, path = file_system(address)
    is_pattern = any(character in path for character in "*?[")
    with _answered(address):
        if is_pattern:
            found = system.glob(path, detail=True)
        elif system.isdir(path):
            found = _images_below(system, path, address)
        else:
            found = {path: system.info(path)}
    files = {name: info for name, info in found.items() if info["type"] == "file"}
    if not files:
        raise UsageError(
            f"No such file: {address}"
            if is_pattern
            else f"The directory {address} contains no images. For tar files or tables in it, "
            "write a pattern such as *.tar at its end."
        )
    for name, info in sorted(files.items()):
        version = "|".join(str(info[key]) for key in _VERSION_KEYS if key in info)
        yield system.unstrip_protocol(name), version


@contextlib.contextmanager
def local_copy(address: str) -> Iterator[Path]:
    """Yield a copy of a file on this machine, for the block.

    Raises:
        UsageError: if it cannot be read.
    """
    system, path = file_system(address)
    with tempfile.TemporaryDirectory(prefix="pipeline-table-") as directory:
        copy = Path(directory, PurePosixPath(path).name)
        with _answered(address):
            system.get_file(path, str(copy))
        yield copy


def _images_below(system: Any, folder: str, address: str) -> dict[str, dict[str, Any]]:
    found = system.find(folder, detail=True)
    start = len(folder.rstrip("/")) + 1
    visible = [name for name in found if not any(map(is_hidden, PurePosixPath(name[start:]).parts))]
    suffixes = {name: PurePosixPath(name).suffix.lower() for name in visible}
    ignored = Counter(suffix for suffix in suffixes.values() if suffix not in SUFFIXES)
    if ignored:
        logger.info(f"Ignored files in {address} that are not images: {describe_ignored(ignored)}")
    return {name: found[name] for name in visible if suffixes[name] in SUFFIXES}


@contextlib.contextmanager
def _answered(address: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise UsageError(f"No such file: {address}") from None
    except PipelineError:
        raise
    except Exception as error:  # each file system has errors of its own
        raise UsageError(
            f"{address} cannot be read: {first_line(error)}. Check the address and the credentials "
            "in the environment."
        ) from None
