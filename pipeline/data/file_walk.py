"""Finds the files below a directory, in a reproducible order."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pipeline.data.remote_path import AnyPath, RemotePath

Directory = TypeVar("Directory", Path, RemotePath)

# What operating systems and tools leave beside images; so do names that begin with a dot.
_SYSTEM_NAMES = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
    *("__macosx", "__pycache__", "@eadir", "lost+found"),
    *("$recycle.bin", "system volume information"),
}
# Of files that are not images. Whether any other file is one, its content decides.
_OTHER_SUFFIXES = frozenset(
    [
        ".7z",
        ".avi",
        ".bin",
        ".bz2",
        ".caffemodel",
        ".cfg",
        ".ckpt",
        ".csv",
        ".db",
        ".doc",
        ".docx",
        ".gz",
        ".h5",
        ".hdf5",
        ".html",
        ".ini",
        ".ipynb",
        ".js",
        ".json",
        ".jsonl",
        ".keras",
        ".log",
        ".m",
        ".mat",
        ".md",
        ".mov",
        ".mp3",
        ".mp4",
        ".ndjson",
        ".npy",
        ".npz",
        ".parquet",
        ".part",
        ".pdf",
        ".pickle",
        ".pkl",
        ".py",
        ".pt",
        ".pth",
        ".rar",
        ".rst",
        ".sh",
        ".sqlite",
        ".tar",
        ".tex",
        ".tfrecord",
        ".tgz",
        ".toml",
        ".tsv",
        ".txt",
        ".wav",
        ".xls",
        ".xlsx",
        ".xml",
        ".xz",
        ".yaml",
        ".yml",
        ".zip",
    ]
)


def walk_files(directory: AnyPath) -> Iterator[tuple[str, bool]]:
    """Yield the path of each file below `directory`, relative to it, and whether it is hidden.

    The paths are sorted. Links are followed, but nothing is visited twice.

    Raises:
        OSError: if a directory cannot be read.
        DataError: if a server does not answer.
    """
    if isinstance(directory, RemotePath):
        yield from _walk_remote(directory.listed(), "")
        return
    # A link to a parent directory would add the images of the other classes.
    visited = {str(parent) for parent in Path(os.path.realpath(directory)).parents}
    prefix = len(os.path.join(directory, ""))  # noqa: PTH118, a million names stay strings
    for root, subdirectories, names in os.walk(directory, onerror=_fail, followlinks=True):
        real = os.path.realpath(root)
        if real in visited:
            subdirectories.clear()
            continue
        visited.add(real)
        subdirectories[:] = sorted(name for name in subdirectories if not is_hidden(name))
        for name in sorted(names):
            yield os.path.join(root, name)[prefix:], is_hidden(name)  # noqa: PTH118


def _walk_remote(directory: RemotePath, prefix: str) -> Iterator[tuple[str, bool]]:
    for name in file_names(directory):
        yield f"{prefix}{name}", is_hidden(name)
    for name in subdirectories(directory):
        yield from _walk_remote(directory / name, f"{prefix}{name}/")


def _fail(error: OSError) -> None:
    raise error


def find_images(directory: Directory) -> tuple[list[Directory], Counter[str]]:
    """Return the visible files below `directory` that are images, and how many are not by suffix.

    A file is an image by its suffix or by its content; a remote one of which the suffix is that of
    something else is not looked into.
    """
    from pipeline.data.image_decoding import has_image_content, is_image_start
    from pipeline.data.image_formats import SIGNATURE_BYTES, SUFFIXES

    def is_image(path: AnyPath) -> bool:
        if not isinstance(path, RemotePath):
            return has_image_content(path)
        from pipeline.data.remote_files import read_start

        return may_be_image(path.name) and is_image_start(read_start(path, SIGNATURE_BYTES))

    root = directory
    if isinstance(directory, RemotePath):
        root = directory.listed()  # type: ignore[assignment]
    images: list[Directory] = []
    ignored: Counter[str] = Counter()
    for name, is_hidden_file in walk_files(root):
        if is_hidden_file:
            continue
        path = root / name
        suffix = path.suffix.lower()
        if suffix in SUFFIXES or is_image(path):
            images.append(path)
        else:
            ignored[suffix] += 1
    return images, ignored


def subdirectories(path: AnyPath) -> list[str]:
    """Return the sorted names of the visible subdirectories."""
    if isinstance(path, RemotePath):
        folder = path.folder()
        return [name for name in folder.folders if not is_hidden(name)] if folder else []
    with os.scandir(path) as entries:
        return sorted(e.name for e in entries if not is_hidden(e.name) and e.is_dir())


def file_names(directory: AnyPath) -> Iterator[str]:
    """Yield the names of the files in a directory itself; those of a remote one are sorted."""
    if isinstance(directory, RemotePath):
        folder = directory.folder()
        yield from folder.files if folder else ()
        return
    with os.scandir(directory) as entries:
        yield from (entry.name for entry in entries if entry.is_file())


def has_images(directory: AnyPath) -> bool:
    """Return whether a directory itself has a file that may be an image, by its name."""
    return any(map(may_be_image, file_names(directory)))


def count_files(directory: AnyPath) -> int:
    """Return the number of visible files in a directory itself."""
    return sum(not is_hidden(name) for name in file_names(directory))


def has_images_below(directory: AnyPath) -> bool:
    """Return whether a directory or one below it has a file that may be an image."""
    if has_images(directory):  # which does not list the whole directory
        return True
    files = walk_files(directory)
    return any(not hidden and may_be_image(name) for name, hidden in files)


def may_be_image(name: str) -> bool:
    """Return whether a file is neither hidden nor has the suffix of something else."""
    return not is_hidden(name) and os.path.splitext(name)[1].lower() not in _OTHER_SUFFIXES  # noqa: PTH122


def is_hidden(name: str) -> bool:
    """Return whether a file or a directory is hidden, or belongs to an operating system."""
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES
