"""The files that paths, folders and patterns on a command line stand for."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.data.directory_layout import find_images
from pipeline.errors import UsageError


def expand_paths(arguments: Sequence[str]) -> list[Path]:
    """Return the files, each once: a folder stands for the images below it, in order of name.

    A file that is named is taken whatever its name ends in, and found out to be no image later.

    Args:
        arguments: paths of files and folders, and patterns such as `photographs/**/*.jpg`.

    Raises:
        UsageError: if there is nothing under one of them.
    """
    found: dict[Path, None] = {}
    for argument in arguments:
        files = list(_files_under(argument))
        if not files:
            exists = Path(argument).is_dir()
            raise UsageError(
                f"{argument} holds no image." if exists else f"There is no file {argument}."
            )
        found.update(dict.fromkeys(files))
    return list(found)


def _files_under(argument: str) -> Iterator[Path]:
    path = Path(argument)
    if path.is_dir():
        yield from find_images(path)
    elif os.path.lexists(path):
        yield path
    else:
        for match in sorted(glob.glob(argument, recursive=True)):  # noqa: PTH207, takes absolute ones too
            if Path(match).is_dir():
                continue
            yield Path(match)
