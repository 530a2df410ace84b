"""MNIST: 60,000 handwritten digits to learn from, 10,000 to be tested on (LeCun et al., 1998)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from pipeline.data.keys import SourceKeys
from pipeline.data.splits import Splits, array_splits, held_out
from pipeline.errors import DataError
from pipeline.section import FilePath, OpenFraction, Size

if TYPE_CHECKING:
    import numpy as np

ORIENTATION_MATTERS = True
_PARTS = ("x_train", "y_train", "x_test", "y_test")


class Keys(SourceKeys):
    """MNIST's 28×28 digits."""

    source: Literal["mnist"]
    path: FilePath | None = Field(
        None, description="An .npz in the layout of keras.datasets.mnist; absent, Keras downloads."
    )
    image_size: Size = Field((28, 28), description="Height and width that images are scaled to.")
    validation: OpenFraction = Field(
        0.1, description="Share of the training images held out to choose the best epoch."
    )


def class_names(keys: Keys) -> tuple[str, ...]:
    return tuple("0123456789")


def load(keys: Keys, *, say: Callable[[str], None]) -> Splits:
    """Return MNIST, its validation split taken from the training images.

    Raises:
        DataError: if the file is not MNIST, or Keras cannot download it.
    """
    import numpy as np

    arrays = _read(keys.path) if keys.path else _download()
    x, y, x_test, y_test = (arrays[part] for part in _PARTS)
    parts = held_out(y, shares=(keys.validation,), seed=keys.split_seed)
    return array_splits(
        x[..., np.newaxis],
        y,
        image_size=keys.image_size,
        class_names=class_names(keys),
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
