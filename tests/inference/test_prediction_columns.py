"""The columns of a table of predictions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.data.image_decoding import Decoding
from pipeline.inference.batch_prediction import Prediction
from pipeline.inference.feature_distance import DistanceConfig
from pipeline.inference.input_item import InputItem
from pipeline.inference.model_interface import ModelInterface
from pipeline.inference.prediction_columns import PredictionColumns

INTERFACE = ModelInterface(
    "classification",
    ("ant", "bee"),
    Decoding((8, 8), "crop"),
    distance=DistanceConfig("features", 5, 0.5, 100, "0" * 64),
)
COLUMNS = PredictionColumns(INTERFACE, ("file", "line", "image", "key"), 1, 0.2, views=2)
TAR_IMAGE = InputItem("a.tar", image="deep/1.left.png")


def test_each_column_has_a_cell() -> None:
    prediction = Prediction(TAR_IMAGE, np.array([0.25, 0.75]), "", 0.75, is_unknown=True)
    cells = dict(zip([c.name for c in COLUMNS.columns()], COLUMNS.cells(prediction), strict=True))
    assert cells == {
        "file": "a.tar",
        "line": None,
        "image": "deep/1.left.png",
        "key": "deep/1",
        "class_1": "bee",
        "probability_1": 0.75,
        "prediction_set": ["bee", "ant"],
        "distance": 0.75,
        "unknown": True,
        "views": 2,
        "error": None,
    }


def test_an_image_that_cannot_be_read_has_nothing_but_its_error() -> None:
    cells = COLUMNS.cells(Prediction(TAR_IMAGE, None, "damaged"))
    assert cells == ["a.tar", None, "deep/1.left.png", "deep/1", *[None] * 6, "damaged"]


@pytest.mark.parametrize(
    ("file", "shown"),
    [
        ("s3://key:secret@bucket/1.png", "s3://key:***@bucket/1.png"),
        ("https://host/1.png?X-Amz-Signature=abc", "https://host/1.png?X-Amz-Signature=***"),
        ("local?key=1.png", "local?key=1.png"),
    ],
)
def test_an_address_is_shown_without_a_password(file: str, shown: str) -> None:
    columns = replace(COLUMNS, sources=("file", "image"))
    cells = columns.cells(Prediction(InputItem(file, 1, image=file), None, "damaged"))
    assert cells[:2] == [shown, shown]
