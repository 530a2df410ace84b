"""Explanations of a full disk, missing permissions and too little memory."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.errors import DataError, PipelineError
from pipeline.stages.error_explanation import explain_error


def raised_by(action: Callable[[], object]) -> Exception:
    with pytest.raises((OSError, MemoryError)) as raised:
        action()
    return raised.value


def explained(error: Exception) -> str:
    explanation = explain_error(error, {"hidden": "${API_TOKEN}"})
    assert isinstance(explanation, PipelineError)
    return str(explanation)


def test_a_full_disk_is_named_with_what_it_has_left(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    free = {tmp_path: 9 * 2**20, Path(tempfile.gettempdir()): 5 * 2**30}
    usage = lambda place: SimpleNamespace(free=free.get(place, 7 * 2**30))  # noqa: E731
    monkeypatch.setattr(shutil, "disk_usage", usage)
    cache.mkdir(exist_ok=True)
    assert explained(raised_by(lambda: Path("/dev/full").write_text("x"))) == (
        f"No space left on device. Free disk space: {tmp_path} has 9 MiB left "
        "(`pipeline cache --clear` deletes cached features)."
    )


def test_a_path_that_may_not_be_written_is_named() -> None:
    # Not by chmod: who runs the tests may be root, whom it does not stop.
    error = PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/somewhere/hidden")
    assert explained(error) == (
        "/somewhere/${API_TOKEN}: Permission denied. Start the run as a user who may write there, "
        "or in another directory."
    )


def test_too_little_memory_says_what_to_reduce() -> None:
    import numpy as np

    error = raised_by(lambda: np.empty((2**62,), np.uint8))
    assert explained(error).startswith("Out of memory: ")
    assert explained(error).endswith(
        ". Reduce data.batch_size or data.image_size, choose a smaller model, or end other "
        "programs that use much memory."
    )


def test_too_little_memory_of_a_device_is_the_same() -> None:
    import tensorflow as tf

    error = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating [9,9]\nand more")
    assert explained(error) == (
        "Out of memory: OOM when allocating [9,9]. Reduce data.batch_size or data.image_size, "
        "choose a smaller model, or end other programs that use much memory."
    )


def test_an_error_that_tensorflow_wrapped_is_unwrapped() -> None:
    error = ValueError("in graph:\npipeline.errors.DataError: ants/1.jpg changed.\n[[node]]")
    explanation = explain_error(error, {})
    assert isinstance(explanation, DataError)
    assert str(explanation) == "ants/1.jpg changed."


def test_an_unknown_error_stays_as_it_is() -> None:
    error = ZeroDivisionError("by zero")
    assert explain_error(error, {}) is error
