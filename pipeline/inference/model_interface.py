"""The inputs and outputs of a model, stored in a file beside it."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.image_decoding import Decoding, decode_image, read_image_file
from pipeline.errors import ModelError, UsageError
from pipeline.evaluation.conformal import ConformalCalibration
from pipeline.inference.feature_distance import DistanceConfig
from pipeline.tasks.tasks import TASKS

INTERFACE_FILE = "interface.json"


@dataclass(frozen=True)
class ModelInterface:
    """The inputs and outputs of a model.

    Attributes:
        task: what is predicted, a name in `TASKS`.
        class_names: in the order of the probabilities.
        decoding: how image files become the pixels that the model takes; None for a model of
            numbers.
        feature_names: the names of the numbers that the model takes, in their order; None for a
            model of images.
        thresholds: the lowest probability of each class that is predicted, where an image may be
            of several; None for a task without thresholds.
        conformal: what prediction sets are made with; None for a model without calibration images.
        distance: how the distance to the training images is measured; None for a model that
            measures none.
    """

    task: str
    class_names: tuple[str, ...]
    decoding: Decoding | None
    feature_names: tuple[str, ...] | None = None
    thresholds: tuple[float, ...] | None = None
    conformal: ConformalCalibration | None = None
    distance: DistanceConfig | None = None

    @property
    def takes_numbers(self) -> bool:
        """Whether the model takes rows of numbers, not images."""
        return self.feature_names is not None

    @property
    def unit(self) -> str:
        """What the model predicts: `images` or `rows`."""
        return "rows" if self.takes_numbers else "images"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Height, width and channels of an image, or how many other numbers an example has."""
        if self.feature_names is not None:
            return (len(self.feature_names),)
        return self.image_decoding.shape

    @property
    def image_decoding(self) -> Decoding:
        """How image files become the pixels that the model takes.

        Raises:
            UsageError: if it takes numbers that are no pixels.
        """
        if self.decoding is None:
            names = ", ".join(self.feature_names or ())
            raise UsageError(
                f"The model takes no images but the numbers {names}. Give it a table with these "
                "columns."
            )
        return self.decoding

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Height and width that images are scaled to; None for numbers."""
        return self.decoding.size if self.decoding else None

    def describe_input(self) -> tuple[str, str]:
        """Return the name and the value of what the model takes, for people."""
        if self.image_size:
            return "image size", " × ".join(map(str, self.image_size))
        return "numbers", ", ".join(self.feature_names or ())

    def decode(self, data: bytes) -> np.ndarray:
        """Return the pixels of an encoded image as the model takes them: uint8 `input_shape`.

        Raises:
            BadImageError: if the bytes cannot be decoded.
            UsageError: if the model takes no images.
        """
        return decode_image(data, self.image_decoding)

    def read(self, path: str | os.PathLike[str]) -> np.ndarray:
        """Return the pixels of an image file as the model takes them: uint8 `input_shape`.

        Raises:
            BadImageError: if the file cannot be read or decoded.
            UsageError: if the model takes no images.
        """
        decoding = self.image_decoding
        return decode_image(read_image_file(path), decoding)

    @property
    def threshold_array(self) -> np.ndarray | None:
        """The thresholds, float (classes,), as `Task.decide` takes them."""
        return None if self.thresholds is None else np.array(self.thresholds)

    def set_threshold(self, confidence_level: float | None) -> float | None:
        """Return the lowest probability of a class in a prediction set at a confidence level.

        Args:
            confidence_level: such as 0.9; None, without prediction sets, has no threshold.

        Raises:
            UsageError: if the model has no threshold for the level.
        """
        if confidence_level is None:
            return None
        if not TASKS[self.task].IS_EXCLUSIVE:
            raise UsageError(
                "Prediction sets are for images or rows of exactly one class, and the task of the "
                f"model is {self.task}. Predict without a confidence level."
            )
        if self.conformal is None:
            raise UsageError(
                "The model has no prediction sets, because it was trained without a test split, "
                "which calibrate them. Set data.test in the recipe, such as --set data.test=0.2, "
                "and run it again."
            )
        try:
            return self.conformal.threshold(confidence_level)
        except ValueError as error:
            raise UsageError(
                f"confidence level: {error} Choose another level, or run the recipe with more test "
                "examples."
            ) from None

    def save(self, directory: Path) -> None:
        """Write the interface into the directory of its model."""
        text = json.dumps(asdict(self), ensure_ascii=False, indent=1)
        (directory / INTERFACE_FILE).write_text(text, "utf-8", "backslashreplace")


def load_interface(directory: Path) -> ModelInterface:
    """Read the file that `ModelInterface.save` wrote.

    Raises:
        ModelError: if the file is missing or invalid.
    """
    path = directory / INTERFACE_FILE
    try:
        content = json.loads(path.read_text("utf-8"))
        interface = ModelInterface(
            task=_task(content["task"]),
            class_names=tuple(str(name) for name in content["class_names"]),
            decoding=_decoding(content["decoding"]),
            feature_names=_feature_names(content["feature_names"]),
            thresholds=_thresholds(content),
            conformal=_conformal(content["conformal"]),
            distance=_distance(content["distance"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path} cannot be read: {error}. Expected the directory of a model that "
            "`pipeline run` logged or `pipeline export` wrote."
        ) from None
    if (interface.decoding is None) == (interface.feature_names is None):
        raise ModelError(
            f"{path}: expected either a decoding, of a model of images, or feature_names, of a "
            "model of numbers."
        )
    return interface


def _task(name: Any) -> str:
    if name not in TASKS:
        raise ValueError(f"expected one of the tasks {', '.join(TASKS)}. Received: {name}")
    return str(name)


def _decoding(content: Any) -> Decoding | None:
    if content is None:
        return None
    height, width = map(int, content["size"])
    channels, resize = int(content["channels"]), content["resize"]
    if channels not in (1, 3) or resize not in ("crop", "pad", "squash"):
        raise ValueError(
            "expected 1 or 3 channels and resize crop, pad or squash. "
            f"Received: {channels} and {resize!r}"
        )
    return Decoding((height, width), resize, channels, _value_range(content["value_range"]))


def _feature_names(content: Any) -> tuple[str, ...] | None:
    return None if content is None else tuple(str(name) for name in content)


def _value_range(content: Any) -> tuple[float, float] | None:
    if content is None:
        return None
    low, high = map(float, content)
    if not low < high:
        raise ValueError(f"expected an ascending value_range. Received: {content}")
    return low, high


def _thresholds(content: Any) -> tuple[float, ...] | None:
    given = content["thresholds"]
    if given is None:
        return None
    thresholds = tuple(map(float, given))
    usual = TASKS[_task(content["task"])].choose_thresholds(len(content["class_names"]), None)
    count = 0 if usual is None else len(usual)
    if len(thresholds) != count or not all(0 <= value <= 1 for value in thresholds):
        raise ValueError(f"expected {count} thresholds from 0 to 1. Received: {given}")
    return thresholds


def _conformal(content: Any) -> ConformalCalibration | None:
    if content is None:
        return None
    thresholds = {float(level): float(value) for level, value in content["thresholds"].items()}
    if not all(0 < level < 1 and 0 <= value <= 1 for level, value in thresholds.items()):
        raise ValueError(f"expected thresholds from 0 to 1. Received: {content['thresholds']}")
    return ConformalCalibration(int(content["images"]), dict(sorted(thresholds.items())))


def _distance(content: Any) -> DistanceConfig | None:
    if content is None:
        return None
    config = DistanceConfig(
        layer=str(content["layer"]),
        neighbors=int(content["neighbors"]),
        threshold=float(content["threshold"]),
        images=int(content["images"]),
        sha256=str(content["sha256"]),
    )
    if config.neighbors < 1 or not math.isfinite(config.threshold):
        raise ValueError(f"expected 1 neighbor or more and a finite threshold. Received: {content}")
    return config
