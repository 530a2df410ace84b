"""Standardize pixels to mean 0 and variance 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

# Applies a layer to a symbolic batch of images (n, height, width, channels).
Standardize = Callable[[Any], Any]


def standardization(read_images: Callable[[], np.ndarray]) -> Standardize:
    """Return the function that standardizes each channel by the statistics of some images.

    A variance below 1 counts as 1, so that images of one color stay finite.

    Args:
        read_images: returns them, uint8 (n, height, width, channels); only called if an
            architecture standardizes its pixels.
    """

    def standardize(pixels: Any) -> Any:
        import keras
        import numpy as np

        images = read_images()
        mean, variance = (
            statistic(images, (0, 1, 2), dtype=np.float64) for statistic in (np.mean, np.var)
        )
        scale = 1 / np.sqrt(variance.clip(min=1))
        # Not Normalization: converted to ONNX, its mean would be an input of the model.
        layer = keras.layers.Rescaling(
            scale.tolist(), (-mean * scale).tolist(), dtype="float32", name="standardization"
        )
        return layer(pixels)

    return standardize
