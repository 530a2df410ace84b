"""What goes into a model and what comes out of it, kept in a file beside the model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.data.image_decoding import decode_image, read_image_file
from pipeline.errors import ModelError

if TYPE_CHECKING:
    import os

    import numpy as np

    from pipeline.data.image_decoding import Resize

FILE = "interface.json"


@dataclass(frozen=True)
class ModelInterface:
    """What a model takes and gives.

    Attributes:
        class_names: in the order of the probabilities.
        image_size: height and width in pixels.
        channels: 3 for RGB, 1 for gray.
        resize: how images of other proportions are fitted in.
    """

    class_names: tuple[str, ...]
    image_size: tuple[int, int]
    channels: int
    resize: Resize

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of what the model takes."""
        return (*self.image_size, self.channels)

    def decode(self, data: bytes) -> np.ndarray:
        """Return an image file's pixels as the model takes them: uint8 `image_shape`, 0..255.

        Raises:
            BadImageError: if the bytes cannot be decoded.
        """
        return decode_image(data, size=self.image_size, resize=self.resize, channels=self.channels)

    def read(self, path: str | os.PathLike[str]) -> np.ndarray:
        """Return the pixels of a file, as `decode` does.

        Raises:
            BadImageError: if the file cannot be read or decoded.
        """
        return self.decode(read_image_file(path))

    def save(self, folder: Path) -> None:
        """Write it into the folder that the model lies in."""
        text = json.dumps(asdict(self), ensure_ascii=False, indent=1)
        (folder / FILE).write_text(text, "utf-8", "backslashreplace")


def load_interface(folder: Path) -> ModelInterface:
    """Read what `Interface.save` wrote.

    Raises:
        ModelError: if the folder has no such file, or it says something else.
    """
    path = folder / FILE
    try:
        content = json.loads(path.read_text("utf-8"))
        height, width = content["image_size"]
        interface = ModelInterface(
            class_names=tuple(str(name) for name in content["class_names"]),
            image_size=(int(height), int(width)),
            channels=int(content["channels"]),
            resize=content["resize"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} does not say what the model takes and gives: {error}. Expected the folder of "
            "a model that `pipeline run` logged."
        ) from None
    if interface.channels not in (1, 3) or interface.resize not in ("crop", "pad", "squash"):
        raise ModelError(
            f"{path}: expected 1 or 3 channels and to crop, pad or squash. "
            f"Received: {interface.channels} and {interface.resize!r}."
        )
    return interface
