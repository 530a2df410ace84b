"""The base of the sources that list image files: what is drawn, and what is skipped."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from pipeline.config import (
    ClosedFraction,
    Finding,
    Fraction,
    ImageSize,
    PositiveFloat,
    RangeSetting,
)
from pipeline.data.image_loading import load_listing
from pipeline.data.image_source import ImageSourceConfig
from pipeline.data.listing import SPLITS, Listing
from pipeline.data.remote_path import DEFAULT_CACHE_GB
from pipeline.data.source_config import SplitName
from pipeline.data.splits import Splits
from pipeline.errors import DataError, escape_unprintable

if TYPE_CHECKING:
    from pipeline.data.image_decoding import Decoding, Resize

_SHOWN_CLASSES = 5


class FileSourceConfig(ImageSourceConfig):
    """The keys that say how files become pixels, which split each is in, and which are skipped."""

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
    validation: Fraction = Field(
        0.2,
        description="Fraction of the training images that becomes the validation split if the "
        "data has none; 0: none, and the last epoch is kept.",
    )
    test: Fraction = Field(
        0.0,
        description="Fraction of the training images that becomes the test split if the data has "
        "none.",
    )
    max_bad: ClosedFraction | None = Field(
        None,
        description="Largest fraction of unreadable files that is skipped; 0 allows none. Default: "
        "0.01, or 5 files if that is more.",
    )
    leakage: Literal["warn", "error"] = Field(
        "warn", description="Whether an image in more than one split is a warning or an error."
    )

    cache_gb: PositiveFloat = Field(
        DEFAULT_CACHE_GB,
        description="Size limit of the cache of downloaded files in GiB, if path or the paths in a "
        "table are addresses; the least recently used files go first.",
    )

    @property
    def cache_bytes(self) -> int:
        """The size limit of the cache of downloaded files."""
        return int(self.cache_gb * 2**30)

    @property
    def resize_mode(self) -> Resize:
        return self.resize

    @property
    def decoding(self) -> Decoding:
        """How the files become pixels, but for the range, which the files decide."""
        from pipeline.data.image_decoding import Decoding

        return Decoding(self.image_size, self.resize, self.channels)

    @abstractmethod
    def list_files(self) -> Listing:
        """Return the files, and log what was found.

        The split is -1 of those whose split is drawn.

        Raises:
            DataError: if the data is missing or invalid.
        """

    @abstractmethod
    def given_splits(self) -> frozenset[str] | None:
        """Return the splits that the data has; None if it is not there yet.

        Raises:
            DataError: if the data is invalid.
            OSError: if a directory cannot be read.
        """

    def has_split(self, name: SplitName) -> bool | None:
        if {"val": self.validation, "test": self.test}[name] > 0:
            return True
        with contextlib.suppress(DataError, OSError):  # `problems` yields it
            given = self.given_splits()
            return None if given is None else name in given
        return None

    def problems(self) -> Iterator[Finding]:
        if self.validation + self.test >= 1:
            yield (
                ("validation",),
                "expected less than 1 for the sum of validation and test. "
                f"Received {self.validation:g} + {self.test:g}.",
            )

    @staticmethod
    def finding(error: DataError) -> Finding:
        """Return the key that an error is about, and its message."""
        key, _, message = str(error).partition(": ")
        return tuple(key.removeprefix("data.").split(".")), message

    def fractions(self, given: frozenset[str]) -> Mapping[str, float]:
        """Return the share of each split that is drawn, where the data has the splits `given`."""
        shares = {"val": self.validation, "test": self.test}
        return {name: share for name, share in shares.items() if share and name not in given}

    def warnings(self) -> Iterator[Finding]:
        """Yield a warning for each share that is set although the data has its split."""
        given = self.given_splits() or ()
        for key, split in (("validation", "val"), ("test", "test")):
            if split in given and getattr(self, key) != type(self).model_fields[key].default:
                yield (key,), f"has no effect: the data has its own {split} split."

    def describe_counts(
        self,
        where: str,
        unit: str,
        class_names: Sequence[str],
        counts: Mapping[str, int],
        given: frozenset[str],
        ignored: Sequence[str],
    ) -> str:
        """Return a sentence that says what was found.

        Args:
            where: the directory or table.
            unit: what is counted.
            class_names: the classes.
            counts: by split; what is drawn is counted as train.
            given: the splits that the data has.
            ignored: phrases.
        """
        total = sum(counts.values())
        shown = ", ".join(class_names[:_SHOWN_CLASSES])
        more = len(class_names) - _SHOWN_CLASSES
        classes = f"{len(class_names)} classes ({shown}{f' and {more} more' if more > 0 else ''})"
        of_classes = f" of {classes}" if class_names else ""
        parts = [f"{name} {counts[name]:,}" for name in SPLITS if counts.get(name)]
        drawn = [f"{share:g} of train as {name}" for name, share in self.fractions(given).items()]
        splits = ", ".join(parts) + (f"; drawn: {', '.join(drawn)}" if drawn else "")
        sentence = f"Found {total:,} {unit}{of_classes} in {where}: {splits}."
        return escape_unprintable(
            f"{sentence} Ignored: {', '.join(ignored)}." if ignored else sentence
        )

    def load(self) -> Splits:
        """Return the images, without files that cannot be decoded.

        Raises:
            DataError: if the data is missing or invalid, a class has no image in a split, more
                than `max_bad` of the files are unreadable, or an image is in more than one split
                and `leakage` is `error`.
        """
        listing = self.list_files()
        return load_listing(
            listing,
            self.decoding,
            value_range=self.value_range,
            fractions=self.fractions(listing.given_splits),
            split_seed=self.split_seed,
            max_bad=self.max_bad,
            leakage=self.leakage,
        )
