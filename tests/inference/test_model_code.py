"""A logged model where this package is not installed."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.inference.classifier import load_classifier
from pipeline.inference.model_code import write_model_code

ELSEWHERE = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pipeline":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NotInstalled())
import mlflow.pyfunc
for path in sys.argv[1:]:
    model = mlflow.pyfunc.load_model(path)
    print("tensorflow" in sys.modules)
    print(model.predict(model.input_example).to_json(orient="records"))
"""


def test_a_logged_model_predicts_where_the_package_is_not_installed(
    digits_model: Path, digits_graph_model: Path, tmp_path: Path
) -> None:
    models = [str(data.parent) for data in (digits_graph_model, digits_model)]
    command = [sys.executable, "-I", "-c", ELSEWHERE, *models]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    by_graph, graph_row, by_keras, keras_row = done.stdout.splitlines()[-4:]
    assert (by_graph, by_keras) == ("False", "True")  # whether TensorFlow was imported
    (row,), (other,) = json.loads(keras_row), json.loads(graph_row)
    assert other["class"] == row["class"]
    assert other["probabilities"] == pytest.approx(row["probabilities"], abs=1e-4)
    classifier = load_classifier(digits_model)
    example = json.loads((digits_model.parent / "input_example.json").read_text())["data"][0][0]
    pixels = classifier.interface.decode(base64.b64decode(example))
    expected = classifier.predict(pixels[np.newaxis])[0]
    assert list(row["probabilities"].values()) == pytest.approx(
        expected.tolist(),
        rel=1e-5,
        abs=1e-9,  # JSON has ten digits after the point
    )
    assert row["class"] == classifier.interface.class_names[expected.argmax()]


def test_the_package_holds_what_the_loader_imports_under_a_name_of_its_own(tmp_path: Path) -> None:
    package, loader = write_model_code(tmp_path)
    assert loader == f"{package.name}.inference.pyfunc_model"
    assert package.name.startswith("pipeline_model_")
    files = {path.relative_to(package).as_posix() for path in package.rglob("*.py")}
    assert {"__init__.py", "data/image_decoding.py", "keras_files.py", "errors.py"} <= files
    assert not any(file.startswith(("tracking/", "training/", "recipe/")) for file in files)
    for path in package.rglob("*.py"):
        lines = path.read_text().splitlines()
        assert not [line for line in lines if line.strip().startswith("from pipeline.")]
