"""Explains errors of the disk, the memory and libraries: what happened, and what to do."""

from __future__ import annotations

import errno
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pipeline import array_cache
from pipeline.errors import DataError, PipelineError, first_line
from pipeline.secrets import mask_secrets

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_OUT_OF_MEMORY = (
    "Out of memory: {}. Reduce data.batch_size or data.image_size, choose a smaller model, or end "
    "other programs that use much memory."
)


def explain_error(error: Exception, secrets: Mapping[str, str]) -> Exception:
    """Return an error that explains the cause, if the cause is known; otherwise the same error.

    Args:
        error: any error.
        secrets: the placeholder of each secret value; the explanation contains none of them.
    """
    explained = _explained(error)
    if isinstance(explained, PipelineError):
        explained.args = tuple(mask_secrets(str(part), secrets) for part in explained.args)
    return explained


def _explained(error: Exception) -> Exception:
    if isinstance(error, PipelineError):
        return error
    message = str(error).strip()
    wrapped = re.search(r"\bDataError: (.*)", message)  # raised while TensorFlow read images
    if wrapped:
        return DataError(wrapped[1].strip())
    # TensorFlow has its own class for it.
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        first = first_line(error, 200).rstrip(".") or "the system refused more"
        return PipelineError(_OUT_OF_MEMORY.format(first))
    if isinstance(error, OSError) and error.errno in (*_FULL, *_FORBIDDEN):
        return PipelineError(_unwritable(error))
    return error


def _unwritable(error: OSError) -> str:
    reason = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    if error.errno in _FORBIDDEN:
        return f"{reason}. Start the run as a user who may write there, or in another directory."
    paths = (Path.cwd(), array_cache.cache_directory(), Path(tempfile.gettempdir()))
    free, fullest = min((shutil.disk_usage(_existing(path)).free, path) for path in paths)
    return (
        f"{reason}. Free disk space: {fullest} has {free / 2**20:,.0f} MiB left "
        "(`pipeline cache --clear` deletes cached features)."
    )


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
