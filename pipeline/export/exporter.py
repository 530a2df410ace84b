"""Export a model to a format, and verify the export against the Keras model."""

from __future__ import annotations

import statistics
import timeit
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline import backend
from pipeline.data.splits import ArrayImages
from pipeline.errors import ModelError, UsageError, first_line
from pipeline.export.formats import FORMATS
from pipeline.inference.classifier import Classifier
from pipeline.tasks.tasks import TASKS

_BATCH_SIZE = 32
_TIMED_CALLS, _WARM_UP_CALLS = 30, 3


@dataclass(frozen=True)
class ExportResult:
    """An exported model, and how it compares with the Keras model.

    Attributes:
        format: its name in `FORMATS`.
        path: of the file or directory.
        size: in bytes.
        milliseconds: latency for one image on the CPU, the median of 30 calls.
        images: the number of images compared.
        same_labels: the number of them with the same answer.
        max_difference: the largest difference between two outputs, as `Task.difference` has it.
    """

    format: str
    path: Path
    size: int
    milliseconds: float
    images: int
    same_labels: int
    max_difference: float

    @property
    def agrees(self) -> bool:
        """Whether the answer is the same for every image."""
        return self.same_labels == self.images

    @property
    def metrics(self) -> dict[str, float]:
        """What is logged of the export."""
        return {
            "max_difference": self.max_difference,
            "same_labels": self.same_labels / self.images,
            "milliseconds": self.milliseconds,
            "megabytes": self.size / 1e6,
        }


def export_model(
    classifier: Classifier, name: str, directory: Path, images: np.ndarray
) -> ExportResult:
    """Export a model with its interface, and compare it with the Keras model.

    Args:
        classifier: the model.
        name: of the format, in `FORMATS`.
        directory: created if it does not exist.
        images: uint8 (n, height, width, channels), or float32 (n, numbers), to compare on.

    Raises:
        ModelError: if the format does not support the model.
        UsageError: if the directory cannot be created.
    """
    export_format = FORMATS[name]
    path = directory / export_format.FILE_NAME
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{directory} cannot be written: {error.strerror}.") from None
    # First, because the converters of Keras do not take a model that was never called.
    task, inputs = TASKS[classifier.interface.task], ArrayImages(images)
    expected = task.outputs(_in_batches(classifier.model.predict_on_batch, images), inputs)
    try:
        with backend.suppress_native_stderr():
            export_format.write(classifier.model, path)
            model = export_format.load(path)
            received = task.outputs(_in_batches(model, images), inputs)
    except Exception as error:  # converters and runtimes raise anything
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise ModelError(f"The model cannot be exported as {name}: {reason}") from None
    thresholds = classifier.interface.threshold_array
    difference = task.difference(received, expected, thresholds)
    # Exported models have no features to measure distances between.
    replace(classifier.interface, distance=None).save(directory)
    return ExportResult(
        format=name,
        path=path,
        size=_size(path),
        milliseconds=_milliseconds(model, images[:1].astype(np.float32)),
        images=len(images),
        same_labels=len(images) - difference.changed,
        max_difference=difference.largest,
    )


def _in_batches(model: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    batches = (images[start : start + _BATCH_SIZE] for start in range(0, len(images), _BATCH_SIZE))
    return np.concatenate([np.asarray(model(batch.astype(np.float32))) for batch in batches])


def _milliseconds(model: Callable[[np.ndarray], np.ndarray], image: np.ndarray) -> float:
    calls = _WARM_UP_CALLS + _TIMED_CALLS
    seconds = timeit.repeat(lambda: model(image), number=1, repeat=calls)
    return 1000 * statistics.median(seconds[_WARM_UP_CALLS:])


def _size(path: Path) -> int:
    """Return the bytes of a directory, or of a file and its companions of the same stem."""
    files = path.rglob("*") if path.is_dir() else path.parent.glob(f"{path.stem}.*")
    return sum(file.stat().st_size for file in files if file.is_file())
