"""What the scoring server responds to a request that the model cannot answer."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server

from pipeline.inference import pyfunc_model
from pipeline.tracking.model_description import describe_without_code
from pipeline.tracking.served_model import ServedModel


def test_a_level_that_the_model_cannot_have_is_told_without_a_traceback(
    digits_model: Path, digit_files: Path, tmp_path: Path
) -> None:
    describe_without_code(digits_model.parent, tmp_path, loader=pyfunc_model.__name__)
    model = ServedModel(mlflow.pyfunc.load_model(str(tmp_path)))
    text = base64.b64encode((digit_files / "003_3.png").read_bytes()).decode()
    request = {"dataframe_records": [{"image": text}], "params": {"confidence_level": 0.999}}
    schema = model.metadata.get_input_schema()
    with pytest.raises(MlflowException) as caught:
        scoring_server.invocations(json.dumps(request), "application/json", model, schema)
    response = json.loads(caught.value.serialize_as_json())
    assert response["message"].partition("\nError: ")[2] == (
        "confidence level: 269 calibration examples allow 0.995 at most. Received: 0.999. Choose "
        "another level, or run the recipe with more test examples."
    )
    assert response["error_code"] == "INVALID_PARAMETER_VALUE"
    assert "stack_trace" not in response
