"""What the convolutional networks that train from scratch have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pipeline.config import PositiveFraction, PositiveInt
from pipeline.errors import ModelError
from pipeline.models.architecture_config import ArchitectureConfig

_PUBLISHED_UNITS = (4096, 4096)
_SMALL_UNITS = (512, 512)
_LARGE_SIDE = 128  # pixels; images from this size on get the published hidden layers

Width = Annotated[
    PositiveFraction, Field(description="Fraction of the published number of filters.")
]
HiddenUnits = Annotated[
    tuple[PositiveInt, ...] | None,
    Field(
        description="Units of each hidden dense layer. Default: [4096, 4096] as published, and "
        f"[512, 512] for images of less than {_LARGE_SIDE} pixels."
    ),
]


def hidden_units(configured: tuple[int, ...] | None, side: int) -> tuple[int, ...]:
    """Return the units of the hidden dense layers.

    Args:
        configured: the value of the key; None: the default.
        side: the smaller of height and width of the images.
    """
    if configured is not None:
        return configured
    return _PUBLISHED_UNITS if side >= _LARGE_SIDE else _SMALL_UNITS


def scaled_filters(published: int, width: float) -> int:
    """Return an even number of filters, 2 or more, about `width` times the published number."""
    return max(2 * round(published * width / 2), 2)


def check_image_size(config: ArchitectureConfig, height: int, width: int) -> None:
    """Check that a network can be built for images of this size.

    Raises:
        ModelError: if it cannot.
    """
    problem = config.image_size_problem(height, width)
    if problem:
        raise ModelError(f"data.image_size: {problem}. Received [{height}, {width}].")
