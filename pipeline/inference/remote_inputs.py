"""Finds images, tar files and tables of other machines."""

from __future__ import annotations

import logging

from pipeline.data.file_walk import find_images
from pipeline.data.remote_files import file_states, find_matches
from pipeline.data.remote_path import RemotePath, any_path
from pipeline.data.splits import describe_ignored
from pipeline.errors import UsageError

logger = logging.getLogger(__name__)


def find_remote_files(address: str) -> list[RemotePath]:
    """Return the files that an address or a pattern names, with their states.

    Args:
        address: of a file, or of a folder, which means the images below it; or a pattern such as
            `s3://bucket/photographs-*.tar`.

    Raises:
        UsageError: if there is none, or the address cannot be used.
        DataError: if the server does not answer.
    """
    try:
        path = any_path(address)
    except ValueError as error:
        raise UsageError(f"{error}. Received: {address}") from None
    assert isinstance(path, RemotePath)
    if any(character in address for character in "*[") or ("?" in address and not path.is_on_web):
        found = find_matches(path)
    elif not path.is_on_web and (folder := path.listed(is_fresh=True)).is_dir():
        found, ignored = find_images(folder)
        if ignored:
            logger.info(f"Ignored files in {path} that are not images: {describe_ignored(ignored)}")
        if not found:
            raise UsageError(
                f"The directory {path} contains no images. For tar files or tables in it, write a "
                "pattern such as *.tar at its end."
            )
    else:
        (state,) = file_states([path])
        found = [RemotePath(path.url, state)] if state else []
    if not found:
        raise UsageError(f"No such file: {path}")
    return found
