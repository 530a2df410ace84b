"""MNIST: 60,000 handwritten digits for training and 10,000 for testing (LeCun et al., 1998)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from pipeline.config import FilePath, Finding, Fraction, ImageSize
from pipeline.data.image_source import ImageSourceConfig
from pipeline.data.source_config import SplitName
from pipeline.data.splits import Splits, splits_from_arrays, stratified_split
from pipeline.errors import DataError
from pipeline.tasks.tasks import TASKS

if TYPE_CHECKING:
    import numpy as np

_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


class MnistConfig(ImageSourceConfig):
    """The 28×28 digits of MNIST, with its own test split."""

    orientation_matters: ClassVar[bool] = True

    source: Literal["mnist"]
    path: FilePath | None = Field(
        None,
        description="An .npz file as keras.datasets.mnist has it. Default: Keras downloads it.",
    )
    image_size: ImageSize = Field((28, 28), description="Height and width after resizing.")
    validation: Fraction = Field(
        0.1,
        description="Fraction of the training images for the validation split; 0: none, and the "
        "last epoch is kept.",
    )

    @property
    def location(self) -> Path | None:
        return self.path

    def problems(self) -> Iterator[Finding]:
        if self.path and not os.path.isfile(self.path):  # noqa: PTH113, it never raises
            yield ("path",), f"the file {self.path} does not exist."

    def has_split(self, name: SplitName) -> bool:
        return name == "test" or self.validation > 0

    def class_names(self) -> tuple[str, ...]:
        return tuple("0123456789")

    def load(self) -> Splits:
        import numpy as np

        arrays = _read(self.path) if self.path else _download()
        x, y, x_test, y_test = (arrays[name] for name in _ARRAYS)
        return splits_from_arrays(
            x[..., np.newaxis],
            y,
            image_size=self.image_size,
            class_names=self.class_names(),
            task=TASKS[self.task],
            parts=stratified_split(y, fractions=(self.validation,), seed=self.split_seed),
            test=(x_test[..., np.newaxis], y_test),
        )


def _read(path: Path) -> dict[str, np.ndarray]:
    import numpy as np

    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in _ARRAYS}
    except FileNotFoundError:
        raise DataError(f"data.path: the file {path} does not exist.") from None
    except MemoryError:
        raise
    except Exception as error:  # NumPy, zipfile and zlib raise many types for a corrupt file
        raise DataError(
            f"data.path: {path} is not MNIST. Expected an .npz file with {', '.join(_ARRAYS)}. "
            f"Received: {error}"
        ) from None
    for images, labels in (("x_train", "y_train"), ("x_test", "y_test")):
        x, y = arrays[images], arrays[labels]
        fits = x.dtype == np.uint8 and x.ndim == 3 and y.shape == x.shape[:1] and len(y)
        if not fits or y.dtype.kind not in "iu" or not 0 <= y.min() <= y.max() <= 9:
            raise DataError(
                f"data.path: {path} is not MNIST. Expected {images} as uint8 (n, 28, 28) and "
                f"{labels} as digits (n,). Received: {x.dtype} {x.shape} and {y.dtype} {y.shape}."
            )
    return arrays


def _download() -> dict[str, np.ndarray]:
    import keras

    try:
        (x, y), (x_test, y_test) = keras.datasets.mnist.load_data()
    except Exception as error:  # Keras raises a bare Exception for every network failure
        raise DataError(
            f"MNIST could not be downloaded ({error}). Download mnist.npz on another machine and "
            "set data.path to it, or copy it to ~/.keras/datasets/."
        ) from None
    return dict(zip(_ARRAYS, (x, y, x_test, y_test), strict=True))
