"""The keys of the data sources whose examples are images."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from pipeline.config import ImageSize
from pipeline.data.augmentation import Augmentation
from pipeline.data.source_config import SourceConfig

if TYPE_CHECKING:
    from pipeline.data.image_decoding import Resize


class ImageSourceConfig(SourceConfig):
    """The keys that all sources of images have.

    Attributes:
        orientation_matters: whether a flipped or rotated image may belong to another class, as a
            digit may.
    """

    orientation_matters: ClassVar[bool] = False

    image_size: ImageSize = Field(description="Height and width after resizing.")
    augmentation: Augmentation = Field(
        (), description="Random transformations of the training images, applied in this order."
    )

    @property
    def resize_mode(self) -> Resize:
        """How images of another aspect ratio are fitted into `image_size`."""
        return "squash"


def augmentation_of(source: SourceConfig) -> Augmentation:
    """Return the transformations of the training examples of a source; none of numbers."""
    return source.augmentation if isinstance(source, ImageSourceConfig) else ()
