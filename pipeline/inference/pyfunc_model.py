"""The model for MLflow: `mlflow.pyfunc.load_model` and MLflow's scoring server.

A logged model contains a copy of this module and of what it imports (`model_code`), so that MLflow
can load it where this package is not installed. This package itself never runs that copy.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from pipeline.data.image_decoding import BadImageError
from pipeline.data.number_values import parse_numbers
from pipeline.errors import BadInputError
from pipeline.inference.batch_prediction import Prediction, predict
from pipeline.inference.image_classifier import ImageClassifier, load_image_classifier
from pipeline.inference.model_interface import ModelInterface
from pipeline.inference.request_limit import RequestLimit
from pipeline.tasks.tasks import TASKS

COLUMN = "image"
_COLUMNS = ("prediction_set", "distance", "unknown", "error")  # after those of the task's answer


class PyfuncClassifier:
    """A classifier with the interface of an MLflow model; several threads may call it at once."""

    def __init__(self, classifier: ImageClassifier) -> None:
        self._classifier = classifier
        self._decoder = ThreadPoolExecutor(1, thread_name_prefix="decode")

    def predict(
        self, data: pd.DataFrame | np.ndarray | Sequence[Any], params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Predict images, or rows of numbers; return one row for each, in order.

        Args:
            data: for a model of numbers, a table with a column for each of them, or an array
                (n, numbers). Otherwise a table with the column `image`, or the images themselves.
                An image is the bytes of a file, the same as a base64 string, a `pathlib.Path`, or
                pixels (height, width, channels) of the model's size in 0..255. A string is never
                read as a path, so a request over HTTP cannot name a file of the server. Images in
                strings are decoded one at a time, and only as many as `RequestLimit` allows.
            params: `confidence_level`, from 0 to 1, of the prediction sets.

        Returns:
            Columns: what the task answers, such as `class`, its `probability`, `probabilities`, of
            every class by name, and, of a model that predicts any number of classes, `classes`, a
            list of them, the most probable first; None where an image could not be read;
            `prediction_set`, a list of classes, the most probable first, None without a confidence
            level; `distance` to the training images and whether it says that the class is
            `unknown`, None if the model measures none; and `error`, which says why an image could
            not be read and is empty otherwise.

        Raises:
            UsageError: if the model has no prediction sets at the confidence level.
        """
        interface = self._classifier.interface
        threshold = interface.set_threshold((params or {}).get("confidence_level"))
        limit = RequestLimit(interface, self._decoder)

        def read(item: Any) -> np.ndarray:
            if interface.feature_names is not None:
                return _numbers(item, interface.feature_names)
            return _pixels(item, interface, limit)

        if not isinstance(data, pd.DataFrame):
            items = list(data)
        elif interface.feature_names is not None:
            items = data[list(interface.feature_names)].to_numpy(object).tolist()
        else:
            items = list(data[COLUMN])
        rows = [
            _row(prediction, interface, threshold)
            for prediction in predict(self._classifier, items, read)
        ]
        columns = [*TASKS[interface.task].ANSWER, *_COLUMNS]
        # Objects, because pandas would turn a missing number into NaN, which is not valid JSON.
        return pd.DataFrame(rows, columns=columns, dtype=object)


def _row(
    prediction: Prediction[Any], interface: ModelInterface, threshold: float | None
) -> dict[str, Any]:
    """Return the values of an image by column; those of its answer are absent without one."""
    task, names, row = TASKS[interface.task], interface.class_names, {}
    if prediction.outputs is not None:
        row = task.answer(prediction.outputs, interface.threshold_array, names)
        if threshold is not None:
            row["prediction_set"] = list(prediction.prediction_set(names, threshold))
    of_image = prediction.distance, prediction.is_unknown, prediction.error
    row |= dict(zip(("distance", "unknown", "error"), of_image, strict=True))
    return {name: row.get(name) for name in (*task.ANSWER, *_COLUMNS)}


def request_table(example: np.ndarray, feature_names: Sequence[str] | None) -> pd.DataFrame:
    """Return an example as a request over HTTP contains it.

    Args:
        example: uint8 (height, width, channels), or float32 (numbers,).
        feature_names: of the numbers; None for an image.
    """
    if feature_names is None:
        return pd.DataFrame({COLUMN: [_encode(example)]})
    return pd.DataFrame([example.tolist()], columns=list(feature_names), dtype=float)


def _encode(pixels: np.ndarray) -> str:
    """Return pixels as a PNG file in base64."""
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze(axis=2) if pixels.shape[2] == 1 else pixels).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def _numbers(row: Any, names: Sequence[str]) -> np.ndarray:
    try:
        values = list(row)
    except TypeError:
        raise BadInputError(f"expected {len(names)} numbers. Received: {row}") from None
    return parse_numbers(values, names)


def _pixels(image: Any, interface: ModelInterface, limit: RequestLimit) -> np.ndarray:
    if isinstance(image, Path):
        return interface.read(image)
    if isinstance(image, bytes):
        return interface.decode(image)
    if isinstance(image, str):  # as a request over HTTP has it
        try:
            data = base64.b64decode("".join(image.split()), validate=True)
        except ValueError:
            raise BadImageError(
                "expected an image file as a base64 string; a path must be a pathlib.Path"
            ) from None
        return limit.decode(data)
    return _pixels_of_array(image, interface.input_shape)


def _pixels_of_array(image: Any, shape: tuple[int, ...]) -> np.ndarray:
    if not isinstance(image, np.ndarray | list | tuple):
        raise BadImageError(
            "expected the bytes of an image file, a path or pixels. "
            f"Received: {type(image).__name__}"
        )
    try:
        with np.errstate(over="ignore"):  # too large for float32 is above 255 too
            pixels = np.asarray(image, np.float32)
    except (TypeError, ValueError, OverflowError):
        raise BadImageError(f"expected pixels of shape {shape}: numbers from 0 to 255") from None
    if pixels.shape != shape:
        raise BadImageError(f"expected pixels of shape {shape}. Received: {pixels.shape}")
    if not (pixels.min() >= 0 and pixels.max() <= 255):
        raise BadImageError("expected pixels from 0 to 255")
    return pixels


def _load_pyfunc(path: str) -> PyfuncClassifier:
    """Load a model from its directory, for MLflow."""
    return PyfuncClassifier(load_image_classifier(Path(path)))
