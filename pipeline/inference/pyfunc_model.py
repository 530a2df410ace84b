"""The model as MLflow loads it: `mlflow.pyfunc.load_model` and MLflow's scoring server.

MLflow imports this module by its name, which the logged model holds, so that neither a pickle nor
code that came with a model is ever run.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.data.image_decoding import BadImageError
from pipeline.inference import classifier as classifiers
from pipeline.inference.classifier import Classifier
from pipeline.inference.prediction import predict

COLUMN = "image"


class PyfuncClassifier:
    """A classifier as MLflow calls it."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier

    def predict(
        self, data: pd.DataFrame | np.ndarray | Sequence[Any], params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Return a row an image, in their order.

        Args:
            data: a table with the column `image`, or the images alone. An image is the bytes of a
                file, the same in base64 as text, a `pathlib.Path`, or pixels (height, width,
                channels) of the model's own size in 0..255. A text is never taken for a path: over
                HTTP no image can name a file of the server.
            params: none are known.

        Returns:
            Columns: `class`; its `probability`; `probabilities`, those of every class by name; and
            `error`, empty where the image could be read.
        """
        images = list(data[COLUMN]) if isinstance(data, pd.DataFrame) else list(data)
        names = self._classifier.interface.class_names
        rows = []
        for prediction in predict(self._classifier, images, self._pixels):
            ranked = dict(prediction.ranked(names, len(names)))
            best = max(ranked, key=ranked.__getitem__, default=None)
            rows.append(
                {
                    "class": best,
                    "probability": ranked.get(best) if best is not None else None,
                    "probabilities": {name: ranked[name] for name in names if name in ranked},
                    "error": prediction.error,
                }
            )
        # As objects, because a number that is missing would become NaN, which is no JSON.
        columns = ["class", "probability", "probabilities", "error"]
        return pd.DataFrame(rows, columns=columns, dtype=object)

    def _pixels(self, image: Any) -> np.ndarray:
        interface = self._classifier.interface
        if isinstance(image, Path):
            return interface.read(image)
        if isinstance(image, bytes):
            return interface.decode(image)
        if isinstance(image, str):
            try:
                return interface.decode(base64.b64decode("".join(image.split()), validate=True))
            except (binascii.Error, ValueError):
                raise BadImageError(
                    "expected the bytes of an image file in base64; a path has to be a pathlib.Path"
                ) from None
        return _pixels_of_array(image, interface.image_shape)


def _pixels_of_array(image: Any, shape: tuple[int, int, int]) -> np.ndarray:
    try:
        pixels = np.asarray(image, np.float32)
    except (TypeError, ValueError):
        raise BadImageError(
            f"expected an image file's bytes, a path or pixels. Received: {type(image).__name__}"
        ) from None
    if pixels.shape != shape:
        raise BadImageError(f"expected pixels of shape {shape}. Received: {pixels.shape}")
    if not (pixels.min() >= 0 and pixels.max() <= 255):
        raise BadImageError("expected pixels from 0 to 255")
    return pixels


def _load_pyfunc(path: str) -> PyfuncClassifier:
    """Load the model in a folder; MLflow calls it."""
    return PyfuncClassifier(classifiers.load_classifier(Path(path)))
