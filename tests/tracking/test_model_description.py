"""A logged model, described anew."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import mlflow
import pandas as pd
import yaml

from pipeline.inference import pyfunc_model
from pipeline.tracking.model_description import describe_without_code


def test_no_code_that_a_model_brings_runs(
    digits_model: Path, digit_files: Path, tmp_path: Path
) -> None:
    hostile, copy, marker = tmp_path / "hostile", tmp_path / "copy", tmp_path / "marker"
    shutil.copytree(digits_model.parent, hostile)
    copy.mkdir()
    described = yaml.safe_load((hostile / "MLmodel").read_text())
    hostile_keys = {"loader_module": "stowaway", "model_code_path": "code/stowaway.py"}
    described["flavors"]["python_function"] |= {"code": "code", **hostile_keys}
    (hostile / "MLmodel").write_text(yaml.safe_dump(described))
    (hostile / "code" / "stowaway.py").write_text(f"open({str(marker)!r}, 'w')")

    before = list(sys.path)
    describe_without_code(hostile, copy, loader=pyfunc_model.__name__)
    model = mlflow.pyfunc.load_model(str(copy))
    rows = model.predict(pd.DataFrame({"image": [digit_files / "003_3.png"]}))
    assert list(rows["class"]) == ["3"]
    assert sys.path == before
    assert not marker.exists()
