"""The digests of the images that a model was trained or chosen on, kept in a Parquet file.

One row per image, sorted: the first 16 bytes of its digest (`Split.image_digests`), and `train` or
`val`. Copies of these images that a run knows, such as re-encoded ones, are listed too, whichever
split they are in. Copies of a picture in another dataset are recognized only if their files are
the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from pipeline.data.splits import Splits
from pipeline.errors import DataError, first_line

FILE_NAME = "image_digests.parquet"

_BYTES = 16  # no two of billions of images share them by chance
_DIGEST = pa.binary(_BYTES)


@dataclass(frozen=True)
class ImageDigests:
    """The digests of the images that a model was trained or chosen on.

    Attributes:
        digests: S16 (n,), ascending, each once.
        is_training: bool (n,), whether the model was trained on the image; otherwise its epoch was
            chosen on it.
    """

    digests: np.ndarray
    is_training: np.ndarray

    def find(self, digests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return whether the model was trained, and whether it was chosen, on images.

        Args:
            digests: uint8 (m, 32), as `Split.image_digests`.

        Returns:
            Two bool arrays (m,); an image that it was both trained and chosen on is in the first.
        """
        keys = _keys(digests)
        positions = np.searchsorted(self.digests, keys)
        is_inside = positions < len(self.digests)
        positions[~is_inside] = 0
        is_known = np.zeros(len(keys), bool)
        if len(self.digests):
            is_known = is_inside & (self.digests[positions] == keys)
        is_trained = is_known.copy()
        is_trained[is_known] = self.is_training[positions[is_known]]
        return is_trained, is_known & ~is_trained


def image_digests(splits: Splits) -> ImageDigests:
    """Return the digests of the training and validation images, and of their known copies."""
    trained, chosen = [_keys(splits.train.image_digests)], []
    if splits.validation:
        chosen.append(_keys(splits.validation.image_digests))
    for copies in splits.duplicates or ():
        used_in = {copy.split for copy in copies}
        group = np.frombuffer(b"".join(bytes.fromhex(copy.digest) for copy in copies), np.uint8)
        if "train" in used_in:
            trained.append(_keys(group.reshape(len(copies), -1)))
        elif "val" in used_in:
            chosen.append(_keys(group.reshape(len(copies), -1)))
    keys = np.concatenate(trained + chosen)
    is_training = np.arange(len(keys)) < sum(map(len, trained))
    unique, first = np.unique(keys, return_index=True)  # the first of equal ones is in training
    return ImageDigests(unique, is_training[first])


def write_image_digests(digests: ImageDigests, directory: Path) -> None:
    """Write digests to `FILE_NAME` in a directory."""
    rows = pa.FixedSizeBinaryArray.from_buffers(
        _DIGEST, len(digests.digests), [None, pa.py_buffer(digests.digests)]
    )
    split = pa.DictionaryArray.from_arrays(
        pa.array(digests.is_training.astype(np.int8)), pa.array(["val", "train"])
    )
    table = pa.table({"digest": rows, "split": split})
    parquet.write_table(table, directory / FILE_NAME)


def read_image_digests(directory: Path) -> ImageDigests | None:
    """Read the digests in a directory, None if it has none.

    Raises:
        DataError: if the file is damaged or has another format.
    """
    path = directory / FILE_NAME
    if not path.exists():
        return None
    try:
        table = parquet.read_table(path, columns=["digest", "split"])
        digest = table["digest"].cast(_DIGEST).combine_chunks()
        split = np.asarray(table["split"].cast(pa.string()))
        if digest.null_count or not np.isin(split, ("train", "val")).all():
            raise ValueError("expected a digest, and train or val, in each row")
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        reason = first_line(error).replace(f" '{path}'", "")
        raise DataError(
            f"{path} cannot be read: {reason}. Restore the file, or train the model again."
        ) from None
    raw = np.frombuffer(digest.buffers()[1], np.uint8)[_BYTES * digest.offset :]
    keys = _keys(raw[: _BYTES * len(digest)].reshape(-1, _BYTES))
    order = np.argsort(keys, kind="stable")
    return ImageDigests(keys[order], (split == "train")[order])


def _keys(digests: np.ndarray) -> np.ndarray:
    """Return the first bytes of digests, uint8 (n, 16 or more), as S16 (n,)."""
    return np.ascontiguousarray(digests[:, :_BYTES]).view(f"S{_BYTES}").reshape(-1)
