"""The logged model as MLflow loads it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.workflows.single_run import RunResult


@pytest.fixture(scope="module")
def model(digits_run: RunResult) -> Any:
    import mlflow

    mlflow.set_tracking_uri(digits_run.tracking_uri)
    return mlflow.pyfunc.load_model(digits_run.model_uri)


def answers(model: Any, *images: Any) -> pd.DataFrame:
    return model.predict(pd.DataFrame({"image": pd.Series(images, dtype=object)}))


def test_bytes_base64_a_path_and_pixels_get_the_same_answer(model: Any, digit_files: Path) -> None:
    path = digit_files / "003_3.png"
    data = path.read_bytes()
    pixels = np.asarray(Image.open(path))[..., np.newaxis]
    text = base64.encodebytes(data).decode()
    found = answers(model, data, text, path, pixels, pixels.tolist())
    assert list(found["class"]) == ["3"] * 5
    assert list(found["error"]) == [""] * 5
    assert found["probability"].nunique() == 1
    first = found["probabilities"][0]
    assert list(first) == list("0123456789")
    assert first["3"] == found["probability"][0] == max(first.values())
    assert sum(first.values()) == pytest.approx(1)


def test_a_text_is_never_taken_for_a_path(model: Any, digit_files: Path) -> None:
    (row,) = answers(model, str(digit_files / "003_3.png")).to_dict("records")
    assert row["error"] == (
        "expected the bytes of an image file in base64; a path has to be a pathlib.Path"
    )
    assert row["probabilities"] == {}


def test_mlflow_s_scoring_protocol_takes_base64_and_answers_in_json(
    model: Any, digit_files: Path
) -> None:
    from mlflow.pyfunc import scoring_server

    texts = [base64.b64encode((digit_files / "003_3.png").read_bytes()).decode(), "no image"]
    request = json.dumps({"dataframe_records": [{"image": text} for text in texts]})
    schema = model.metadata.get_input_schema()
    answer = scoring_server.invocations(request, "application/json", model, schema)
    assert answer.status == 200
    first, second = json.loads(answer.response, parse_constant=pytest.fail)["predictions"]
    assert first["class"] == "3"
    assert (second["class"], second["probability"]) == (None, None)
    assert second["error"].startswith("expected the bytes of an image file in base64")


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (b"GIF", "not a JPEG, PNG, BMP, GIF or WebP image"),
        (Path("absent.png"), "No such file or directory"),
        (np.zeros((2, 2, 1)), "expected pixels of shape (8, 8, 1). Received: (2, 2, 1)"),
        (np.full((8, 8, 1), -1.0), "expected pixels from 0 to 255"),
        (np.full((8, 8, 1), np.nan), "expected pixels from 0 to 255"),
        ({}, "expected an image file's bytes, a path or pixels. Received: dict"),
    ],
)
def test_what_is_no_image_is_a_row_with_an_error(model: Any, image: Any, problem: str) -> None:
    (row,) = answers(model, image).to_dict("records")
    assert row["error"] == problem
