"""The logged model, loaded with MLflow."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc import scoring_server
from PIL import Image

from pipeline.errors import UsageError
from pipeline.inference import pyfunc_model, request_limit
from pipeline.inference.classifier import BatchOutputs, Classifier
from pipeline.tracking.model_description import describe_without_code


@pytest.fixture(scope="module")
def model(digits_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    copy = tmp_path_factory.mktemp("model")
    describe_without_code(digits_model.parent, copy, loader=pyfunc_model.__name__)
    return mlflow.pyfunc.load_model(str(copy))


def predict(model: Any, *images: Any) -> pd.DataFrame:
    return model.predict(pd.DataFrame({"image": pd.Series(images, dtype=object)}))


def test_bytes_base64_a_path_and_pixels_are_the_same_image(
    model: Any, digit_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = digit_files / "003_3.png"
    data = path.read_bytes()
    pixels = np.asarray(Image.open(path))[..., np.newaxis]
    text = base64.encodebytes(data).decode()
    batches: list[np.ndarray] = []
    outputs = Classifier.batch_outputs

    def spy(self: Classifier, batch: np.ndarray) -> BatchOutputs:
        batches.append(batch)
        return outputs(self, batch)

    monkeypatch.setattr(Classifier, "batch_outputs", spy)
    rows = predict(model, data, text, path, pixels, pixels.tolist())
    (batch,) = batches
    np.testing.assert_array_equal(batch, np.stack([pixels] * 5))
    assert list(rows["class"]) == ["3"] * 5
    assert list(rows["error"]) == [""] * 5
    # Processors may round the rows of a batch differently.
    np.testing.assert_allclose(rows["probability"].astype(float), rows["probability"][0], rtol=1e-5)
    first = rows["probabilities"][0]
    assert list(first) == list("0123456789")
    assert first["3"] == rows["probability"][0] == max(first.values())
    assert sum(first.values()) == pytest.approx(1)


def test_strings_of_one_request_are_limited_together_and_bytes_are_not(
    model: Any, digit_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = (digit_files / "003_3.png").read_bytes()  # 64 pixels
    text = base64.b64encode(data).decode()
    monkeypatch.setattr(request_limit, "MAX_PIXELS", 127)
    errors = list(predict(model, text, text, data, data)["error"])
    assert sorted(errors[:2])[0] == errors[2] == errors[3] == ""
    assert sorted(errors[:2])[1].startswith("the images of the request have more than 127 pixels")


def test_a_string_is_never_read_as_a_path(model: Any, digit_files: Path) -> None:
    (row,) = predict(model, str(digit_files / "003_3.png")).to_dict("records")
    assert row["error"] == (
        "expected an image file as a base64 string; a path must be a pathlib.Path"
    )
    assert row["probabilities"] is None


def test_the_scoring_server_takes_base64_and_responds_in_json(
    model: Any, digit_files: Path
) -> None:
    texts = [base64.b64encode((digit_files / "003_3.png").read_bytes()).decode(), "no image"]
    request = json.dumps({"dataframe_records": [{"image": text} for text in texts]})
    schema = model.metadata.get_input_schema()
    response = scoring_server.invocations(request, "application/json", model, schema)
    assert response.status == 200
    first, second = json.loads(response.response, parse_constant=pytest.fail)["predictions"]
    assert first["class"] == "3"
    assert (second["class"], second["probability"]) == (None, None)
    assert second["error"].startswith("expected an image file as a base64 string")


def test_the_scoring_server_responds_with_prediction_sets_at_a_confidence_level(
    model: Any, digit_files: Path
) -> None:
    text = base64.b64encode((digit_files / "003_3.png").read_bytes()).decode()
    records = [{"image": text}, {"image": "no image"}]
    request = {"dataframe_records": records, "params": {"confidence_level": 0.99}}
    schema = model.metadata.get_input_schema()
    response = scoring_server.invocations(json.dumps(request), "application/json", model, schema)
    first, second = json.loads(response.response, parse_constant=pytest.fail)["predictions"]
    assert "3" in first["prediction_set"]
    assert second["prediction_set"] is None
    assert first["distance"] is first["unknown"] is None  # it has no pretrained base


def test_without_a_confidence_level_there_are_no_prediction_sets(
    model: Any, digit_files: Path
) -> None:
    assert list(predict(model, digit_files / "003_3.png")["prediction_set"]) == [None]


def test_a_confidence_level_that_the_model_cannot_have_is_an_error(
    model: Any, digit_files: Path
) -> None:
    image = pd.DataFrame({"image": [digit_files / "003_3.png"]}, dtype=object)
    with pytest.raises(UsageError) as caught:
        model.predict(image, params={"confidence_level": 0.999})
    assert str(caught.value) == (
        "confidence level: 269 calibration examples allow 0.995 at most. Received: 0.999. Choose "
        "another level, or run the recipe with more test examples."
    )


NOT_AN_IMAGE = "expected the bytes of an image file, a path or pixels. Received: "
NOT_NUMBERS = "expected pixels of shape (8, 8, 1): numbers from 0 to 255"


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (b"GIF", "not an image, or of a format that is not supported"),
        (Path("absent.png"), "No such file or directory"),
        (np.zeros((2, 2, 1)), "expected pixels of shape (8, 8, 1). Received: (2, 2, 1)"),
        (np.full((8, 8, 1), -1.0), "expected pixels from 0 to 255"),
        (np.full((8, 8, 1), np.nan), "expected pixels from 0 to 255"),
        (np.full((8, 8, 1), 1e300), "expected pixels from 0 to 255"),
        ([[[1e300]] * 8] * 8, "expected pixels from 0 to 255"),
        ([[[float("inf")]] * 8] * 8, "expected pixels from 0 to 255"),
        ([[[10**400]] * 8] * 8, NOT_NUMBERS),
        ([[["a"]] * 8] * 8, NOT_NUMBERS),
        ([[[{}]] * 8] * 8, NOT_NUMBERS),
        ([[None] * 8, [[0]] * 8], NOT_NUMBERS),
        (json.loads("[" * 500 + "]" * 500), NOT_NUMBERS),
        ({}, NOT_AN_IMAGE + "dict"),
        (None, NOT_AN_IMAGE + "NoneType"),
        (True, NOT_AN_IMAGE + "bool"),
        (float("nan"), NOT_AN_IMAGE + "float"),
        (10**400, NOT_AN_IMAGE + "int"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_an_image_is_a_row_with_an_error(
    model: Any, digit_files: Path, image: Any, error: str
) -> None:
    good, bad = predict(model, digit_files / "003_3.png", image).to_dict("records")
    assert (good["class"], good["error"]) == ("3", "")
    names = "class", "probability", "probabilities", "prediction_set", "distance", "unknown"
    assert bad == {**dict.fromkeys(names), "error": error}
