"""One input of a model: an image, or a row of numbers, and where it comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class InputItem:
    """An image file, an image in a file, or a row of a table of numbers.

    Attributes:
        file: the path or the address of the image, of the tar file or of the table.
        line: where the row begins in the table, from 1; the number of the row in a Parquet file;
            None without a table.
        image: the name of the image in the tar file, or the path that stands in the table; None for
            an image file, and for bytes in a table without a path.
        values: what stands in the row, in the order of the model's numbers.
        content: returns the encoded image, once, or raises BadInputError; None for an image file
            and for numbers.
    """

    file: str
    line: int | None = None
    image: str | None = None
    values: tuple[Any, ...] = ()
    content: Callable[[], bytes] | None = None

    @property
    def key(self) -> str | None:
        """What WebDataset calls the `__key__` of an image in a tar file: its name to the first dot.

        None for other images.
        """
        if self.image is None or self.line is not None:
            return None
        directory, slash, base = self.image.rpartition("/")
        return directory + slash + base.partition(".")[0]

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"
