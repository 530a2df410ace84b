"""The images, or other examples, on which an export is verified against the Keras model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.data.source_config import SourceConfig
from pipeline.errors import BadInputError, PipelineError, UsageError
from pipeline.even_spacing import evenly_spaced
from pipeline.inference.model_inputs import find_inputs, input_reader
from pipeline.inference.model_interface import ModelInterface

MAX_IMAGES = 256


def images_from_source(config: SourceConfig) -> np.ndarray:
    """Return examples of a source: uint8 (n, height, width, channels), or float32 (n, numbers).

    Raises:
        UsageError: if the data is no longer available.
    """
    try:
        _, split = config.load().verification
    except PipelineError as error:
        raise UsageError(
            f"The data of the run is not available: {error} Verify the export on other images, or "
            "on tables of numbers, with --images."
        ) from None
    return split.images.read(np.array(evenly_spaced(len(split), at_most=MAX_IMAGES)))


def images_from_files(arguments: Sequence[str], interface: ModelInterface) -> np.ndarray:
    """Return the images, or the rows of tables, that arguments name.

    Args:
        arguments: as `find_inputs` takes them.
        interface: of the model.

    Returns:
        uint8 (n, height, width, channels), or float32 (n, numbers).

    Raises:
        UsageError: if one cannot be read.
    """
    items, read = find_inputs(arguments, interface), input_reader(interface)
    examples = []
    for index in evenly_spaced(len(items), at_most=MAX_IMAGES):
        try:
            examples.append(read(items[index]))
        except BadInputError as error:
            raise UsageError(f"{items[index]} cannot be read: {error}.") from None
    return np.stack(examples)
