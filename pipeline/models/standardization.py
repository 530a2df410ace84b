"""Standardize inputs to mean 0 and variance 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

# Applies a layer to a symbolic batch of images (n, height, width, channels), or of other numbers
# (n, numbers).
Standardize = Callable[[Any], Any]


def standardization(read_examples: Callable[[], np.ndarray]) -> Standardize:
    """Return the function that standardizes each channel, or number, by the statistics of examples.

    A variance below 1 counts as 1 for pixels, so that images of one color stay finite. Numbers that
    are all equal are not scaled.

    Args:
        read_examples: returns them, uint8 (n, height, width, channels), or float32 (n, numbers);
            only called if an architecture standardizes its inputs.
    """

    def standardize(inputs: Any) -> Any:
        import keras
        import numpy as np

        examples = read_examples()
        axes = tuple(range(examples.ndim - 1))
        mean, variance = (
            statistic(examples, axes, dtype=np.float64) for statistic in (np.mean, np.var)
        )
        if examples.dtype == np.uint8:
            variance = variance.clip(min=1)
        scale = 1 / np.sqrt(np.where(variance > 0, variance, 1))
        # Not Normalization: converted to ONNX, its mean would be an input of the model.
        layer = keras.layers.Rescaling(
            scale.tolist(), (-mean * scale).tolist(), dtype="float32", name="standardization"
        )
        return layer(inputs)

    return standardize
