"""Limit what the images of a request may take while they are decoded."""

from __future__ import annotations

from concurrent.futures import Executor

import numpy as np

from pipeline.data.image_decoding import BadImageError, declared_pixels
from pipeline.inference.model_interface import ModelInterface

# About 180 photographs of 12 million pixels, or some ten seconds of decoding.
MAX_PIXELS = 2**31


class RequestLimit:
    """Decodes the images of one request, one at a time, up to a number of pixels."""

    def __init__(self, interface: ModelInterface, decoder: Executor) -> None:
        """Begin a request.

        Args:
            interface: of the model.
            decoder: its one thread decodes the images of all requests. Several threads that took
                turns would each keep the memory of their largest image.
        """
        self._interface, self._decoder = interface, decoder
        self._pixels = 0

    def decode(self, data: bytes) -> np.ndarray:
        """Return the pixels of an encoded image as the model takes them.

        Raises:
            BadImageError: if it cannot be decoded, or the request has had too many pixels.
        """
        return self._decoder.submit(self._decode, data).result()

    def _decode(self, data: bytes) -> np.ndarray:
        self._pixels += declared_pixels(data)
        if self._pixels > MAX_PIXELS:
            raise BadImageError(
                f"the images of the request have more than {MAX_PIXELS:,} pixels together; send "
                "fewer"
            )
        return self._interface.decode(data)
