"""The table of sources."""

from __future__ import annotations

from typing import Any, Protocol

from pipeline.data import digits, image_folder, mnist
from pipeline.data.splits import Splits


class Source(Protocol):
    """What a source's module holds."""

    CONFIG: type[Any]
    """The section of the recipe, with `source` as its name."""

    ORIENTATION_MATTERS: bool
    """Whether a mirrored image may belong to another class, as a digit may."""

    def class_names(self, config: Any) -> tuple[str, ...] | None:
        """Return the classes as far as a glance tells, without reading an image."""

    def load(self, config: Any) -> Splits:
        """Return the images."""


SOURCES: dict[str, Source] = {
    "digits": digits,
    "image_folder": image_folder,
    "mnist": mnist,
}
