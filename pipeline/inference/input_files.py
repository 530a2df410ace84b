"""Expansion of the paths, directories, patterns and addresses on a command line to files."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.addresses import is_remote
from pipeline.data.file_walk import find_images
from pipeline.data.splits import describe_ignored
from pipeline.errors import UsageError

logger = logging.getLogger(__name__)

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


def expand_ranges(argument: str) -> Iterator[str]:
    """Yield what an argument with ranges such as `{000000..000009}` stands for, else itself."""
    found = _RANGE.search(argument)
    if found is None or os.path.lexists(argument):
        yield argument
        return
    first, last = found.groups()
    width = len(first) if first.startswith("0") else 0
    for number in range(int(first), int(last) + 1):
        start = f"{argument[: found.start()]}{number:0{width}}"
        yield from (start + rest for rest in expand_ranges(argument[found.end() :]))


def expand_paths(arguments: Sequence[str]) -> list[Path]:
    """Return the files that arguments match, each once.

    A directory matches the images below it, by their suffix or their content, sorted by name; what
    else it contains is logged. A file matches whatever its extension.

    Args:
        arguments: paths of files and directories, and patterns such as `photographs/**/*.jpg` and
            `photographs-{00..09}.tar`.

    Raises:
        UsageError: if an argument matches no file.
    """
    files: dict[Path, None] = {}
    for argument in (each for given in arguments for each in expand_ranges(given)):
        matches = _matching_files(argument)
        if not matches:
            if Path(argument).is_dir():
                raise UsageError(f"The directory {argument} contains no images.{_hint(argument)}")
            raise UsageError(f"No such file: {argument}")
        files.update(dict.fromkeys(matches))
    return list(files)


def check_existence(arguments: Sequence[str]) -> None:
    """Check that each argument names something, before a model is loaded.

    Addresses are not looked at.

    Raises:
        UsageError: if one does not.
    """
    for argument in (each for given in arguments for each in expand_ranges(given)):
        if is_remote(argument):
            continue
        pattern = glob.iglob(argument, recursive=True)  # noqa: PTH207, also takes absolute patterns
        if not os.path.lexists(argument) and next(pattern, None) is None:
            raise UsageError(f"No such file: {argument}")


def _matching_files(argument: str) -> list[Path]:
    path = Path(argument)
    if path.is_dir():
        images, ignored = find_images(path)
        if ignored:
            logger.info(f"Ignored files in {path} that are not images: {describe_ignored(ignored)}")
        return images
    if os.path.lexists(path):
        return [path]
    matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207, also takes absolute patterns
    return [Path(match) for match in matches if not Path(match).is_dir()]


def _hint(directory: str) -> str:
    """Return which pattern matches the tar files or Parquet tables in a directory."""
    names = os.listdir(directory)  # noqa: PTH208
    for suffix in (*TAR_SUFFIXES, ".parquet"):
        count = sum(name.endswith(suffix) for name in names)
        if count:
            pattern = os.path.join(directory, f"*{suffix}")  # noqa: PTH118
            return f" For its {count:,} {suffix} files, write {pattern}"
    return ""
