"""The images that exports are compared on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.data.image_decoding import BadImageError
from pipeline.errors import PipelineError, UsageError
from pipeline.inference.model_interface import ModelInterface

if TYPE_CHECKING:
    from pipeline.data.source_config import SourceConfig

MAX_IMAGES = 256  # images; on more of them it takes longer and says the same


def validation_images(config: SourceConfig) -> np.ndarray:
    """Return validation images of a source, uint8 (n, height, width, channels).

    Raises:
        UsageError: if its data is not there any more.
    """
    try:
        split = config.load().validation
    except PipelineError as error:
        raise UsageError(
            f"The images that the model was validated on cannot be had: {error} Name others to "
            "compare the export on with --images."
        ) from None
    return split.images.read(np.array(_spread(len(split))))


def images_from_files(files: Sequence[Path], interface: ModelInterface) -> np.ndarray:
    """Return the images in files, uint8 (n, height, width, channels).

    Raises:
        UsageError: if one cannot be read.
    """
    images = []
    for place in _spread(len(files)):
        try:
            images.append(interface.read(files[place]))
        except BadImageError as error:
            raise UsageError(f"{files[place]} cannot be read: {error}.") from None
    return np.stack(images)


def _spread(count: int) -> list[int]:
    """Return up to `MOST` places among `count`, as far apart as can be."""
    kept = min(count, MAX_IMAGES)
    return [number * count // kept for number in range(kept)]
