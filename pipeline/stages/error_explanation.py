"""What the machine, the disk or a library raised, as an error that says what to do."""

from __future__ import annotations

import errno
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import DataError, PipelineError, first_line
from pipeline.features import feature_cache
from pipeline.secrets import mask_secrets

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_OUT_OF_MEMORY = (
    "The memory is not enough: {}. Lower data.batch_size or data.image_size, choose a smaller "
    "model, or end what else uses it."
)


def explain_error(error: Exception, secrets: Mapping[str, str]) -> Exception:
    """Return an error that a person can do something about, where the cause is known.

    Args:
        error: what a stage raised.
        secrets: what stands for each secret value; the error of our own names none of them.
    """
    found = _explained(error)
    if isinstance(found, PipelineError):
        found.args = tuple(mask_secrets(str(part), secrets) for part in found.args)
    return found


def _explained(error: Exception) -> Exception:
    if isinstance(error, PipelineError):
        return error
    message = str(error).strip()
    wrapped = re.search(r"\bDataError: (.*)", message)  # raised while TensorFlow read images
    if wrapped:
        return DataError(wrapped[1].strip())
    # TensorFlow has a class of its own for it.
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        first = first_line(error, 200).rstrip(".") or "the system gave no more"
        return PipelineError(_OUT_OF_MEMORY.format(first))
    if isinstance(error, OSError) and error.errno in (*_FULL, *_FORBIDDEN):
        return PipelineError(_unwritable(error))
    return error


def _unwritable(error: OSError) -> str:
    what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    if error.errno in _FORBIDDEN:
        return f"{what}. Start the run as a user, or in a folder, that may write there."
    places = (Path.cwd(), feature_cache.cache_directory(), Path(tempfile.gettempdir()))
    left = {place: shutil.disk_usage(_existing(place)).free for place in places}
    fullest = min(left, key=lambda place: left[place])
    return (
        f"{what}. Make room: {fullest} has {left[fullest] / 2**20:,.0f} MiB left "
        "(`pipeline cache --clear` frees kept features)."
    )


def _existing(place: Path) -> Path:
    return place if place.exists() else _existing(place.parent)
