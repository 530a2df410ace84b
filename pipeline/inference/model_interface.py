"""The inputs and outputs of a model, stored in a file beside it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.image_decoding import Decoding, Resize, decode_image, read_image_file
from pipeline.errors import ModelError

INTERFACE_FILE = "interface.json"


@dataclass(frozen=True)
class ModelInterface:
    """The inputs and outputs of a model.

    Attributes:
        class_names: in the order of the probabilities.
        image_size: height and width in pixels.
        channels: 3 for RGB, 1 for gray.
        resize: how images of another aspect ratio are resized.
        value_range: the samples that become 0 and 255, of images with more than 8 bits; None for
            the range of their type.
    """

    class_names: tuple[str, ...]
    image_size: tuple[int, int]
    channels: int
    resize: Resize
    value_range: tuple[float, float] | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the input."""
        return self.decoding.shape

    @property
    def decoding(self) -> Decoding:
        """How image files become the pixels that the model takes."""
        return Decoding(self.image_size, self.resize, self.channels, self.value_range)

    def decode(self, data: bytes) -> np.ndarray:
        """Return the pixels of an encoded image as the model takes them: uint8 `image_shape`.

        Raises:
            BadImageError: if the bytes cannot be decoded.
        """
        return decode_image(data, self.decoding)

    def read(self, path: str | os.PathLike[str]) -> np.ndarray:
        """Return the pixels of an image file as the model takes them: uint8 `image_shape`.

        Raises:
            BadImageError: if the file cannot be read or decoded.
        """
        return self.decode(read_image_file(path))

    def save(self, directory: Path) -> None:
        """Write the interface into the directory of its model."""
        text = json.dumps(asdict(self), ensure_ascii=False, indent=1)
        (directory / INTERFACE_FILE).write_text(text, "utf-8", "backslashreplace")


def load_interface(directory: Path) -> ModelInterface:
    """Read the file that `ModelInterface.save` wrote.

    Raises:
        ModelError: if the file is missing or invalid.
    """
    path = directory / INTERFACE_FILE
    try:
        content = json.loads(path.read_text("utf-8"))
        height, width = content["image_size"]
        interface = ModelInterface(
            class_names=tuple(str(name) for name in content["class_names"]),
            image_size=(int(height), int(width)),
            channels=int(content["channels"]),
            resize=content["resize"],
            value_range=_value_range(content["value_range"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} cannot be read: {error}. Expected the directory of a model that "
            "`pipeline run` logged or `pipeline export` wrote."
        ) from None
    if interface.channels not in (1, 3) or interface.resize not in ("crop", "pad", "squash"):
        raise ModelError(
            f"{path}: expected 1 or 3 channels and resize crop, pad or squash. "
            f"Received: {interface.channels} and {interface.resize!r}."
        )
    return interface


def _value_range(content: Any) -> tuple[float, float] | None:
    if content is None:
        return None
    low, high = map(float, content)
    if not low < high:
        raise ValueError(f"expected an ascending value_range. Received: {content}")
    return low, high
