"""The interface of a data source: the section of the recipe that describes and loads it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from pipeline.config import Config, Expected, Finding, PositiveInt, Seed
from pipeline.data.remote_path import AnyPath
from pipeline.data.splits import Splits
from pipeline.tasks.tasks import TASKS

if TYPE_CHECKING:
    from pipeline.data.file_root import FileRoot

    TaskName = str
else:  # so that the JSON Schema lists the names
    TaskName = Literal[tuple(TASKS)]
Sampling = Literal["natural", "balanced"]
SplitName = Literal["val", "test"]
BatchSize = Annotated[
    PositiveInt | Literal["all"],
    Expected("an integer, 1 or more, or all (batch gradient descent)"),
]


class SourceConfig(Config):
    """The keys that all data sources have."""

    source: Any
    task: TaskName = Field(
        "classification",
        description="What is predicted. classification: the class of an image. multi_label: any "
        "number of classes. regression: a "
        "number. reconstruction: the image itself.",
    )
    batch_size: BatchSize = Field(
        32, description="Images per training step; `all` for batch gradient descent."
    )
    sampling: Sampling = Field(
        "natural",
        description="natural: every training image once per epoch. balanced: as many images per "
        "epoch, from each class equally often, so that images of rare classes are repeated.",
    )
    split_seed: Seed = Field(
        0, description="Seed of the split into train, val and test; independent of `seed`."
    )

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that the source has labels for."""
        return ("classification", "reconstruction")

    @abstractmethod
    def load(self) -> Splits:
        """Return the images.

        Raises:
            DataError: if the data is missing or invalid.
        """

    @abstractmethod
    def class_names(self) -> tuple[str, ...] | None:
        """Return the classes if they are known without reading an image, else None."""

    @abstractmethod
    def has_split(self, name: SplitName) -> bool | None:
        """Return whether the data has a split, or one is drawn; None if unknown before loading."""

    def problems(self) -> Iterator[Finding]:
        """Yield errors that a look at the disk reveals, such as missing files."""
        return iter(())

    def warnings(self) -> Iterator[Finding]:
        """Yield values that have no effect or are probably wrong."""
        return iter(())

    def describe_files(self) -> str | None:
        """Return a sentence that says which files were found; None without files.

        Raises:
            DataError: if the data is invalid.
        """
        return None

    @property
    def image_root(self) -> FileRoot | None:
        """What the names of the images are relative to; None without files."""
        return None

    @property
    def location(self) -> AnyPath | None:
        """The file or directory that the data is read from; None if it comes with a package."""
        return None
