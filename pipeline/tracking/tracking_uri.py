"""Which MLflow tracking store is in use. This module imports no MLflow."""

from __future__ import annotations

import os
from pathlib import Path

DIRECTORY = "mlruns"
DATABASE = "mlflow.db"
_SQLITE = "sqlite:///"


def resolve_uri(uri: str | None) -> str:
    """Return the tracking URI in use.

    Args:
        uri: the recipe's; if None, MLFLOW_TRACKING_URI or mlruns/ in the working directory.
    """
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or local_uri()


def local_uri() -> str:
    """Return the tracking URI of mlruns/ in the working directory."""
    return f"{_SQLITE}{Path(DIRECTORY, DATABASE).absolute()}"


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite store; None for a store of another kind."""
    if not uri.startswith(_SQLITE) or "?" in uri:
        return None
    return Path(uri.removeprefix(_SQLITE)).absolute()
