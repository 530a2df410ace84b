"""TensorFlow and Keras, imported without the lines that their native code prints."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from pipeline.shutdown import exit_on_signal


def load_backend() -> None:
    """Import TensorFlow and Keras; later imports of them cost nothing.

    What their libraries say while they look for devices is shown only if the import fails.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if "keras" in sys.modules:
        return
    with exit_on_signal(), suppress_native_stderr():
        import keras  # noqa: F401
        import tensorflow as tf

        tf.config.list_physical_devices()
    tf.get_logger().setLevel("ERROR")


@contextlib.contextmanager
def suppress_native_stderr() -> Iterator[None]:
    """Show what native code writes to standard error, past Python, only if something fails."""
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
