"""The keys of the data sources whose images are files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from pipeline.config import ImageSize, RangeSetting
from pipeline.data.source_config import SourceConfig

if TYPE_CHECKING:
    from pipeline.data.image_decoding import Decoding, Resize


class ImageSourceConfig(SourceConfig):
    """The keys that say how image files become pixels."""

    image_size: ImageSize = Field((224, 224), description="Height and width after resizing.")
    resize: Literal["crop", "pad", "squash"] = Field(
        "crop", description="How images of another aspect ratio are fitted into image_size."
    )
    channels: Literal[1, 3] = Field(
        3, description="3 reads every image as RGB, 1 every image as grayscale."
    )

    value_range: RangeSetting = Field(
        "auto",
        alias="range",
        description="The samples that become 0 and 255, in images with more than 8 bits a sample: "
        "two numbers; dtype, the range of the image's type; or auto, the usual range that the "
        "training images fit.",
    )

    @property
    def resize_mode(self) -> Resize:
        return self.resize

    @property
    def decoding(self) -> Decoding:
        """How the files become pixels, but for the range, which the files decide."""
        from pipeline.data.image_decoding import Decoding

        return Decoding(self.image_size, self.resize, self.channels)
