"""Tables that MLflow's UI shows, as `mlflow.log_table` logs them. This module imports no MLflow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def write_table(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write a table as a JSON file.

    Args:
        rows: one or more, all with the same columns.
        path: of the file.
    """
    table = {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}
    path.write_text(json.dumps(table, ensure_ascii=False), "utf-8", "backslashreplace")


def table_tags(paths: Sequence[str]) -> dict[str, str]:
    """Return the tags by which the UI finds the tables of a run.

    Args:
        paths: of the files among the artifacts.
    """
    tables = [{"path": path, "type": "table"} for path in paths]
    return {"mlflow.loggedArtifacts": json.dumps(tables)} if tables else {}
