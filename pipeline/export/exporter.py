"""Write a model in a format, and hold what was written against the Keras model."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import backend
from pipeline.errors import ModelError, first_line
from pipeline.evaluation.metrics import to_probabilities
from pipeline.export.formats import FORMATS
from pipeline.inference.classifier import Classifier

_BATCH = 32
_TIMED = 30
_UNTIMED = 3  # the first calls prepare what later ones use


@dataclass(frozen=True)
class Export:
    """What was written, and how it compares with the Keras model.

    Attributes:
        format: its name in the table of formats.
        path: the file or the folder.
        size: bytes.
        milliseconds: for one image, the median of 30, on the CPU.
        images: on how many images it was compared.
        same_labels: how many of them it gives the same class.
        difference: the largest between two probabilities.
    """

    format: str
    path: Path
    size: int
    milliseconds: float
    images: int
    same_labels: int
    difference: float

    @property
    def agrees(self) -> bool:
        """Whether every image gets the class that the Keras model gives it."""
        return self.same_labels == self.images


def export(classifier: Classifier, name: str, folder: Path, images: np.ndarray) -> Export:
    """Write a model with its interface into a folder, and compare it with the Keras model.

    Args:
        classifier: the model.
        name: a format in the table.
        folder: where to write; it is made.
        images: uint8 (n, height, width, channels) to compare on.

    Raises:
        ModelError: if the model cannot be written in the format, or not be loaded from it.
    """
    chosen = FORMATS[name]
    path = folder / chosen.FILE
    folder.mkdir(parents=True, exist_ok=True)
    # Before anything is written: Keras's converters take no model that was never called.
    expected = to_probabilities(_in_batches(classifier.model.predict_on_batch, images))
    try:
        with backend.suppress_native_stderr():
            chosen.write(classifier.model, path)
            model = chosen.load(path)
            found = to_probabilities(_in_batches(model, images))
    except Exception as error:  # whatever a converter or a runtime does not support
        first = first_line(error)
        raise ModelError(
            f"The model cannot be exported as {name}: {type(error).__name__}: {first}"
        ) from None
    classifier.interface.save(folder)
    return Export(
        format=name,
        path=path,
        size=_size(path),
        milliseconds=_milliseconds(model, images[:1].astype(np.float32)),
        images=len(images),
        same_labels=int(np.sum(found.argmax(axis=1) == expected.argmax(axis=1))),
        difference=float(np.abs(found - expected).max()),
    )


def _in_batches(model: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    batches = (images[start : start + _BATCH] for start in range(0, len(images), _BATCH))
    return np.concatenate([np.asarray(model(batch.astype(np.float32))) for batch in batches])


def _milliseconds(model: Callable[[np.ndarray], np.ndarray], image: np.ndarray) -> float:
    seconds = []
    for _ in range(_UNTIMED + _TIMED):
        start = time.perf_counter()
        model(image)
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds[_UNTIMED:])


def _size(path: Path) -> int:
    """Return the bytes of a folder, or of a file and of those that belong to it."""
    files = path.rglob("*") if path.is_dir() else path.parent.glob(f"{path.stem}.*")
    return sum(file.stat().st_size for file in files if file.is_file())
