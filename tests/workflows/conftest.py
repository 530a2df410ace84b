"""What tests of whole runs share."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.pyfunc import scoring_server

from pipeline.inference import pyfunc_model
from pipeline.recipe.loader import load_recipe
from pipeline.tracking.model_description import describe_without_code
from pipeline.training.progress_display import ProgressDisplay
from pipeline.workflows.run_result import RunResult
from pipeline.workflows.single_run import run

Served = Callable[[Path, Sequence[Path]], list[dict[str, Any]]]


@pytest.fixture
def served(tmp_path: Path) -> Served:
    """What MLflow's scoring server answers for image files, given the data of a logged model."""

    def answers(data: Path, files: Sequence[Path]) -> list[dict[str, Any]]:
        describe_without_code(data.parent, tmp_path, loader=pyfunc_model.__name__)
        model = mlflow.pyfunc.load_model(str(tmp_path))
        images = [base64.b64encode(path.read_bytes()).decode() for path in files]
        request = json.dumps({"dataframe_records": [{"image": image} for image in images]})
        schema = model.metadata.get_input_schema()
        response = scoring_server.invocations(request, "application/json", model, schema)
        assert response.status == 200, response.response
        found = json.loads(response.response, parse_constant=pytest.fail)["predictions"]
        declared = [column.name for column in model.metadata.get_output_schema()]
        assert [list(row) for row in found] == [declared] * len(files)
        return list(found)

    return answers


@pytest.fixture
def resumed(monkeypatch: pytest.MonkeyPatch) -> RunResult:
    """The run of `recipe.yaml` in the working directory, interrupted in its third epoch."""

    def interrupt(display: Any, epoch: int, logs: Any = None) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    loaded = load_recipe(Path("recipe.yaml"))
    with monkeypatch.context() as patch:
        patch.setattr(ProgressDisplay, "on_epoch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(loaded)
    return run(loaded, resume="latest")
