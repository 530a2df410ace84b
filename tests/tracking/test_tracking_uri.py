"""Which store is in use."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.tracking.tracking_uri import resolve_uri, sqlite_file


def test_the_store_is_below_the_working_folder(in_empty_folder: Path) -> None:
    assert resolve_uri(None) == f"sqlite:///{in_empty_folder}/mlruns/mlflow.db"


def test_the_environment_names_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5999")
    assert resolve_uri(None) == "http://127.0.0.1:5999"


def test_the_recipe_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5999")
    assert resolve_uri("sqlite:///other.db") == "sqlite:///other.db"


@pytest.mark.parametrize(
    ("uri", "file"),
    [
        ("sqlite:////data/mlflow.db", "/data/mlflow.db"),
        ("sqlite:///mlflow.db", str(Path("mlflow.db").absolute())),
        ("sqlite:////data/mlflow.db?mode=ro", None),
        ("sqlite://", None),
        ("postgresql://host/db", None),
        ("http://127.0.0.1:5000", None),
    ],
)
def test_the_file_of_a_sqlite_store(uri: str, file: str | None) -> None:
    assert sqlite_file(uri) == (None if file is None else Path(file))
