"""MNIST: 60,000 handwritten digits to learn from, 10,000 to be tested on (LeCun et al., 1998)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from pipeline.config import FilePath, ImageSize, OpenFraction
from pipeline.data.source_config import SourceConfig
from pipeline.data.splits import Splits, splits_from_arrays, stratified_split
from pipeline.errors import DataError

if TYPE_CHECKING:
    import numpy as np

ORIENTATION_MATTERS = True
_PARTS = ("x_train", "y_train", "x_test", "y_test")


class MnistConfig(SourceConfig):
    """MNIST's 28×28 digits."""

    source: Literal["mnist"]
    path: FilePath | None = Field(
        None, description="An .npz in the layout of keras.datasets.mnist; absent, Keras downloads."
    )
    image_size: ImageSize = Field(
        (28, 28), description="Height and width that images are scaled to."
    )
    validation: OpenFraction = Field(
        0.1, description="Share of the training images held out to choose the best epoch."
    )


CONFIG = MnistConfig


def class_names(config: MnistConfig) -> tuple[str, ...]:
    return tuple("0123456789")


def load(config: MnistConfig) -> Splits:
    """Return MNIST, its validation split taken from the training images.

    Raises:
        DataError: if the file is not MNIST, or Keras cannot download it.
    """
    import numpy as np

    arrays = _read(config.path) if config.path else _download()
    x, y, x_test, y_test = (arrays[part] for part in _PARTS)
    parts = stratified_split(y, shares=(config.validation,), seed=config.split_seed)
    return splits_from_arrays(
        x[..., np.newaxis],
        y,
        image_size=config.image_size,
        class_names=class_names(config),
        parts=parts,
        test=(x_test[..., np.newaxis], y_test),
    )


def _read(path: Path) -> dict[str, np.ndarray]:
    import numpy as np

    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {part: archive[part] for part in _PARTS}
    except FileNotFoundError:
        raise DataError(f"data.path: there is no file {path}.") from None
    except MemoryError:
        raise
    except Exception as error:  # NumPy, zipfile and zlib raise whatever a broken file leads them to
        raise DataError(
            f"data.path: {path} is not MNIST. Expected an .npz with {', '.join(_PARTS)}. "
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
    except Exception as error:  # Keras wraps every failure of the network in a bare Exception
        raise DataError(
            f"MNIST could not be downloaded ({error}). Download mnist.npz elsewhere and give it as "
            "data.path, or put it into ~/.keras/datasets/."
        ) from None
    return dict(zip(_PARTS, (x, y, x_test, y_test), strict=True))
