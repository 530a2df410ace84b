"""Creates the local store in another process, while this one imports TensorFlow and Keras.

    python -m pipeline.tracking.early_store

Importing this module loads no MLflow.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
from pathlib import Path

from pipeline.backend import quiet_imports
from pipeline.processor import usable_threads

_DATABASE = Path("mlruns", "mlflow.db")
_PACKAGE_PARENT = Path(__file__).parent.parent.parent


def create_early(uri: str | None) -> threading.Thread | None:
    """Start to create the local store if it is in use and does not exist, and there is a core left.

    `open_store` waits for it, or creates the store if the other process cannot.

    Args:
        uri: the recipe's tracking URI, None for that of the environment or the local store.

    Returns:
        The thread that waits for the process that creates it; None if there is none.
    """
    is_local = not (uri or os.environ.get("MLFLOW_TRACKING_URI"))
    if not is_local or _DATABASE.exists() or usable_threads() == 1:
        return None
    thread = threading.Thread(target=_create, daemon=True, name="early_store")
    thread.start()
    return thread


def _create() -> None:
    path = f"{_PACKAGE_PARENT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    subprocess.run(
        [sys.executable, "-P", "-m", __name__],  # -P: import nothing from the working directory
        env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )


if __name__ == "__main__":
    with quiet_imports():
        store = importlib.import_module("pipeline.tracking.store")
    store.open_store(None)
