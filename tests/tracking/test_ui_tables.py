"""Tables are files and tags as MLflow's own `log_table` leaves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.tracking.ui_tables import table_tags, write_table


def test_a_table_has_columns_and_rows_whatever_is_in_them(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"class": "bee", "recall": 0.5},
        {"class": "\udcff", "recall": None},  # the name of a file that is not UTF-8
    ]
    write_table(rows, tmp_path / "table.json")
    table = json.loads((tmp_path / "table.json").read_text("utf-8"))
    assert table == {"columns": ["class", "recall"], "data": [["bee", 0.5], ["\udcff", None]]}


def test_the_tag_names_the_tables_if_there_are_any() -> None:
    (tag,) = table_tags(["class_metrics/val.json", "trials.json"]).items()
    assert tag == (
        "mlflow.loggedArtifacts",
        '[{"path": "class_metrics/val.json", "type": "table"}, '
        '{"path": "trials.json", "type": "table"}]',
    )
    assert table_tags([]) == {}
