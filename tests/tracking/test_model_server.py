"""MLflow's scoring server on a logged model."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from pipeline.errors import ModelError
from pipeline.inference import pyfunc_model
from pipeline.tracking import model_server
from pipeline.tracking.lookup import files_of, find_model
from pipeline.tracking.mlflow_model import check_no_foreign_code
from pipeline.tracking.mlflow_server import free_port
from pipeline.tracking.store import open_store
from pipeline.workflows.single_run import RunResult

README = Path(__file__).parent.parent.parent / "README.md"


@pytest.mark.slow
def test_the_request_in_the_readme_is_answered(
    digits_run: RunResult, digit_files: Path, in_empty_folder: Path
) -> None:
    (request,) = re.findall(r"```bash\n(\(printf .*?)```", README.read_text("utf-8"), re.DOTALL)
    shutil.copy(digit_files / "003_3.png", "photograph.jpg")
    store = open_store(digits_run.tracking_uri)
    port = free_port(5700)
    with files_of(store, find_model(store, "latest")) as folder:
        with model_server.serve(folder, store, port, loader=pyfunc_model.__name__):
            command = request.replace("127.0.0.1:5001", f"127.0.0.1:{port}")
            done = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
    (answer,) = json.loads(done.stdout)["predictions"]
    assert answer["class"] == "3"
    assert answer["error"] == ""


@pytest.mark.parametrize(
    "change", [{"code": "code"}, {"loader_module": "mlflow.pyfunc.model"}], ids=["code", "loader"]
)
def test_a_model_that_brings_code_is_not_served(
    digits_model: Path, tmp_path: Path, change: dict[str, str]
) -> None:
    described = yaml.safe_load((digits_model.parent / "MLmodel").read_text())
    described["flavors"]["python_function"] |= change
    (tmp_path / "MLmodel").write_text(yaml.safe_dump(described))
    check_no_foreign_code(digits_model.parent, loader=pyfunc_model.__name__)
    with pytest.raises(ModelError) as refused:
        check_no_foreign_code(tmp_path, loader=pyfunc_model.__name__)
    loader = described["flavors"]["python_function"]["loader_module"]
    assert str(refused.value) == (
        f"The model in {tmp_path} was not logged by `pipeline run`: MLflow would load it with "
        f"{loader}, and with the code that came with it. If you trust it, serve it with: "
        f"mlflow models serve -m {tmp_path}"
    )
