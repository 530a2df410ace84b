"""Which images of a data set show the same picture; the answer is kept in the cache."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import array_cache
from pipeline.data import duplicates, file_examination
from pipeline.data.file_examination import pixel_digest
from pipeline.data.file_root import FileRoot
from pipeline.data.image_decoding import BadImageError
from pipeline.data.index_entry import KIND, MAX_BYTES, source_digest


@dataclass(frozen=True)
class PictureCopies:
    """The images of the pictures that more than one image shows, one picture after another.

    Attributes:
        images: int64 (n,), their numbers.
        pictures: int64 (n,), the number of each one's picture.
        identities: int64 (n,); images with the same number have the same pixels, the others of a
            picture look alike.
    """

    images: np.ndarray
    pictures: np.ndarray
    identities: np.ndarray

    def groups(self, count: int) -> np.ndarray:
        """Return int64 (count,), which has the same number for all images of a picture."""
        groups = np.arange(count)
        _, first = np.unique(self.pictures, return_index=True)
        groups[self.images] = self.images[first][self.pictures]
        return groups


def find_copies(
    root: FileRoot, names: Sequence[str], digests: np.ndarray, thumbnails: Callable[[], np.ndarray]
) -> PictureCopies:
    """Return the images that show the same picture, computed now or at an earlier start.

    Args:
        root: what the names are relative to.
        names: of the images' files.
        digests: uint8 (n, 32), SHA-256 of the files.
        thumbnails: returns uint8 (n, 16, 16, 3).

    Raises:
        PipelineError: if the cache directory is not writable.
    """

    def compute(directory: Path) -> dict[str, int]:
        pixels = thumbnails()
        groups = duplicates.find_duplicate_groups(pixels)
        identities = [_identities(root, names, digests, pixels, group) for group in groups]
        numbers = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
        np.save(directory / "images.npy", np.array([*itertools.chain(*groups)], np.int64))
        np.save(directory / "pictures.npy", numbers)
        np.save(directory / "identities.npy", np.array([*itertools.chain(*identities)], np.int64))
        return {}

    parts = {
        "copies among": hashlib.sha256(digests.tobytes()).hexdigest(),
        "source": source_digest(duplicates, file_examination),
    }
    arrays = array_cache.get_or_compute(
        array_cache.cache_key(parts),
        compute,
        kind=KIND,
        label=f"duplicates among {len(names):,} images of {root}",
        limit=MAX_BYTES,
    ).arrays
    return PictureCopies(*(np.array(arrays[name]) for name in ("images", "pictures", "identities")))


def _identities(
    root: FileRoot,
    names: Sequence[str],
    digests: np.ndarray,
    thumbnails: np.ndarray,
    group: Sequence[int],
) -> list[int]:
    """Return a number for each image of a picture, the same for those that have the same pixels."""
    first_of_file: dict[bytes, int] = {}
    for image in group:
        first_of_file.setdefault(digests[image].tobytes(), image)
    alike = defaultdict[bytes, list[int]](list)
    for image in first_of_file.values():
        alike[thumbnails[image].tobytes()].append(image)
    identity_of = {image: image for image in first_of_file.values()}
    for images in alike.values():
        first_of_pixels: dict[bytes, int] = {}
        for image in images if len(images) > 1 else ():
            with contextlib.suppress(BadImageError):  # it was changed since it was indexed
                pixels = pixel_digest(root.read(names[image]))
                identity_of[image] = first_of_pixels.setdefault(pixels, image)
    return [identity_of[first_of_file[digests[image].tobytes()]] for image in group]
