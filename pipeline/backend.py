"""Imports TensorFlow and Keras without the messages of their native code."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from pipeline import processor
from pipeline.shutdown import exit_on_signal


def set_environment() -> None:
    """Set what TensorFlow and Keras read from the environment, as child processes inherit it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    # TensorFlow would take all memory of a GPU at once.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if processor.needs_onednn_enabled():
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Import modules that need TensorFlow, Keras or MLflow in the block.

    Messages of their native code are shown only if an import fails. A signal ends the process at
    once, because some of these modules swallow a KeyboardInterrupt.
    """
    set_environment()
    was_loaded = "tensorflow" in sys.modules
    with exit_on_signal(), suppress_native_stderr(), garbage_collection_paused():
        yield
        if not was_loaded and "tensorflow" in sys.modules:
            tensorflow: Any = sys.modules["tensorflow"]
            tensorflow.config.list_physical_devices()
            tensorflow.get_logger().setLevel("ERROR")


@contextlib.contextmanager
def garbage_collection_paused() -> Iterator[None]:
    """Collect no garbage in the block, and never search the modules that it loads for garbage.

    They have a million objects that live as long as the process. To search them again and again
    takes a quarter of the time of the imports, and later interrupts the training.
    """
    modules, was_enabled = len(sys.modules), gc.isenabled()
    gc.disable()
    try:
        yield
        if len(sys.modules) > modules:
            gc.freeze()
    finally:
        if was_enabled:
            gc.enable()


@contextlib.contextmanager
def suppress_native_stderr() -> Iterator[None]:
    """Show what native code writes to standard error only if the block fails."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as withheld:
        stderr = os.dup(2)
        os.dup2(withheld.fileno(), 2)
        try:
            yield
        except BaseException:
            withheld.seek(0)
            os.write(stderr, withheld.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
