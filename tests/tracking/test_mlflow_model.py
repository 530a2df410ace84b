"""A model in MLflow's format."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path


def test_the_requirements_of_a_model_are_what_computes_it_here(digits_model: Path) -> None:
    lines = (digits_model.parent / "requirements.txt").read_text().splitlines()
    names = ("tensorflow", "keras", "mlflow", "numpy", "pandas", "pillow", "openvino")
    assert lines == [f"{name}=={version(name)}" for name in names]
