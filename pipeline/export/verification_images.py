"""The images on which an export is verified against the Keras model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.data.image_decoding import BadImageError
from pipeline.data.source_config import SourceConfig
from pipeline.data.splits import evenly_spaced
from pipeline.errors import PipelineError, UsageError
from pipeline.inference.model_interface import ModelInterface

MAX_IMAGES = 256


def images_from_source(config: SourceConfig) -> np.ndarray:
    """Return images of a source, uint8 (n, height, width, channels).

    Raises:
        UsageError: if the data is no longer available.
    """
    try:
        _, split = config.load().verification
    except PipelineError as error:
        raise UsageError(
            f"The images of the run are not available: {error} Verify the export on other images "
            "with --images."
        ) from None
    return split.images.read(np.array(evenly_spaced(len(split), at_most=MAX_IMAGES)))


def images_from_files(files: Sequence[Path], interface: ModelInterface) -> np.ndarray:
    """Return the images in files, uint8 (n, height, width, channels).

    Raises:
        UsageError: if one cannot be read.
    """
    images = []
    for index in evenly_spaced(len(files), at_most=MAX_IMAGES):
        try:
            images.append(interface.read(files[index]))
        except BadImageError as error:
            raise UsageError(f"{files[index]} cannot be read: {error}.") from None
    return np.stack(images)
