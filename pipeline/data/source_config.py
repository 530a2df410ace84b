"""The keys that every source of images has."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from pipeline.config import Config, ImageSize, PositiveInt, Seed, expecting
from pipeline.data.augmentation import Augmentation

BatchSize = Annotated[
    PositiveInt | Literal["all"], expecting("a whole number, 1 or more, or all (batch descent)")
]


class SourceConfig(Config):
    """Where the images come from and how they reach the model."""

    source: Any
    image_size: ImageSize = Field(description="Height and width that images are scaled to.")
    batch_size: BatchSize = Field(32, description="Images a training step sees, or `all`.")
    augmentation: Augmentation = Field(
        (), description="Random changes of the training images, in this order."
    )
    split_seed: Seed = Field(
        0, description="Decides which images are held out, whatever the recipe's seed."
    )
