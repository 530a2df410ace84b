"""Expansion of the paths, directories and patterns on a command line to files."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from pipeline.data.file_walk import find_images
from pipeline.data.splits import describe_ignored
from pipeline.errors import UsageError

logger = logging.getLogger(__name__)


def expand_paths(arguments: Sequence[str]) -> list[Path]:
    """Return the files that arguments match, each once.

    A directory matches the images below it, by their suffix or their content, sorted by name; what
    else it contains is logged. A file matches whatever its extension.

    Args:
        arguments: paths of files and directories, and patterns such as `photographs/**/*.jpg`.

    Raises:
        UsageError: if an argument matches no file.
    """
    files: dict[Path, None] = {}
    for argument in arguments:
        matches = _matching_files(argument)
        if not matches:
            if Path(argument).is_dir():
                raise UsageError(f"The directory {argument} contains no images.")
            raise UsageError(f"No such file: {argument}")
        files.update(dict.fromkeys(matches))
    return list(files)


def check_existence(arguments: Sequence[str]) -> None:
    """Check that each argument names something, before a model is loaded.

    Raises:
        UsageError: if one does not.
    """
    for argument in arguments:
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
