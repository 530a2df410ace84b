"""The entry of the cache that an index of image files is kept in."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import numpy as np
import PIL

from pipeline import array_cache
from pipeline.data import (
    decoding_limits,
    file_examination,
    image_decoding,
    image_facts,
    image_formats,
    sample_values,
)
from pipeline.data.duplicates import SIDE
from pipeline.data.file_examination import ExaminedFile, Verdict
from pipeline.data.file_root import FileRoot
from pipeline.npy_writer import npy_writer

KIND = "index"
MAX_BYTES = 4 * 2**30  # of all indexes together

THUMBNAIL = (SIDE, SIDE, 3)
RECORD = np.dtype(
    [
        ("size", np.int64),
        ("modified", np.int64),  # nanoseconds since 1970; of remote files, a digest of the version
        ("digest", np.uint8, 32),
        ("verdict", np.uint8),
        ("format", "S10"),  # of images, the name of an `ImageFormat`
        ("mode", "S6"),  # of their pixels, as Pillow names it
        ("height", np.int32),  # upright
        ("width", np.int32),
        ("bits", np.uint8),  # of a sample
        ("lowest", np.float64),  # sample of more than 8 bits; NaN of other images
        ("highest", np.float64),
    ]
)

_READERS = (  # what is known of a file depends on them
    decoding_limits,
    file_examination,
    image_decoding,
    image_facts,
    image_formats,
    sample_values,
)
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class IndexRows:
    """Rows of an index.

    Attributes:
        text: the names of the files, each with a NUL after it: a million strings take long to
            make, and are seldom needed.
        records: (n,) of `RECORD`.
        reasons: why a file is unreadable, or no image, by its row.
        thumbnails: uint8 (images, 16, 16, 3) of the rows that are images.
    """

    text: str
    records: np.ndarray
    reasons: Mapping[int, str]
    thumbnails: np.ndarray

    def __len__(self) -> int:
        return len(self.records)

    def names(self) -> list[str]:
        return self.text.split("\0")[:-1]

    def thumbnail_numbers(self) -> np.ndarray:
        """Return the index in `thumbnails` of each row that is an image, int64 (n,)."""
        return np.cumsum(self.records["verdict"] == Verdict.IMAGE) - 1


def names_as_text(names: Iterable[str]) -> str:
    return "".join(f"{name}\0" for name in names)


class Readings:
    """Rows of files that are read one after another; their thumbnails are in a temporary file."""

    def __init__(self, file: IO[bytes], names: Sequence[str], states: np.ndarray) -> None:
        """Prepare rows.

        Args:
            file: an empty temporary file.
            names: of the files.
            states: int64 (n, 2), their sizes and modification times.
        """
        self._names, self._reasons = names, dict[int, str]()
        self._records = np.zeros(len(names), RECORD)
        self._records["size"], self._records["modified"] = states.T
        self._file = file
        self._count = 0
        self.is_lasting = np.zeros(len(names), bool)

    def add(self, examined: ExaminedFile) -> None:
        """Add what is known of the next file."""
        row, record = self._count, self._records[self._count]
        record["verdict"] = examined.verdict
        record["lowest"] = record["highest"] = np.nan
        if examined.digest:
            record["digest"] = np.frombuffer(examined.digest, np.uint8)
        if examined.reason:
            self._reasons[row] = examined.reason
        if facts := examined.facts:
            record["format"], record["mode"] = facts.format.encode(), facts.mode.encode()
            record["height"], record["width"] = facts.height, facts.width
            record["bits"] = facts.bits
            if facts.lowest is not None and facts.highest is not None:
                record["lowest"], record["highest"] = facts.lowest, facts.highest
        if examined.thumbnail is not None:
            self._file.write(np.ascontiguousarray(examined.thumbnail).data)
        self.is_lasting[row] = examined.is_lasting
        self._count += 1

    def rows(self) -> IndexRows:
        """Return all rows; files that were not added have the verdict `UNKNOWN`."""
        self._file.flush()
        count = int(np.count_nonzero(self._records["verdict"] == Verdict.IMAGE))
        thumbnails = np.zeros((0, *THUMBNAIL), np.uint8)
        if count:  # an empty file cannot be mapped
            thumbnails = np.memmap(self._file, np.uint8, "r", shape=(count, *THUMBNAIL))
        return IndexRows(names_as_text(self._names), self._records, self._reasons, thumbnails)


def joined_rows(known: IndexRows, new: IndexRows) -> IndexRows:
    """Return the rows of both, without thumbnails."""
    shifted = {len(known) + row: reason for row, reason in new.reasons.items()}
    return IndexRows(
        known.text + new.text,
        np.concatenate([known.records, new.records]),
        {**known.reasons, **shifted},
        np.zeros((0, *THUMBNAIL), np.uint8),
    )


def no_rows() -> IndexRows:
    return IndexRows("", np.zeros(0, RECORD), {}, np.zeros((0, *THUMBNAIL), np.uint8))


def index_key(root: FileRoot) -> str:
    return array_cache.cache_key({"index of": root.key})


def read_index(root: FileRoot) -> IndexRows:
    """Return the index of a directory, whose entry is locked.

    It has no rows if it is absent or corrupt, or if files were read in another way when it was
    written.
    """
    entry = array_cache.read_entry(index_key(root), label=_label(root))
    if entry is None or entry.facts != _dependencies():
        return no_rows()
    return IndexRows(
        _text(entry.arrays["names"]),
        np.array(entry.arrays["records"]),
        {int(row): reason for row, reason in json.loads(_text(entry.arrays["reasons"]))},
        entry.arrays["thumbnails"],
    )


def write_index(root: FileRoot, known: IndexRows, new: IndexRows, chosen: np.ndarray) -> IndexRows:
    """Replace the index of a directory, whose entry is locked.

    Args:
        root: what the names are relative to.
        known: rows.
        new: more rows.
        chosen: int (n,), what to write: rows of `known`, or above them rows of `new`.

    Returns:
        What was written.
    """
    joined = joined_rows(known, new)
    names, records = joined.names(), joined.records[chosen]
    text = names_as_text(names[row] for row in chosen.tolist())
    reasons = {
        position: joined.reasons[row]
        for position, row in enumerate(chosen.tolist())
        if row in joined.reasons
    }
    images = chosen[records["verdict"] == Verdict.IMAGE]
    numbers = np.concatenate([known.thumbnail_numbers(), new.thumbnail_numbers()])

    def write(directory: Path) -> dict[str, Any]:
        np.save(directory / "names.npy", _bytes(text))
        np.save(directory / "records.npy", records)
        np.save(directory / "reasons.npy", _bytes(json.dumps(list(reasons.items()))))
        with npy_writer(directory / "thumbnails.npy", np.dtype(np.uint8), THUMBNAIL) as append:
            for start in range(0, len(images), _ROWS_AT_ONCE):
                rows = images[start : start + _ROWS_AT_ONCE]
                is_new = rows >= len(known)
                thumbnails = np.empty((len(rows), *THUMBNAIL), np.uint8)
                thumbnails[~is_new] = known.thumbnails[numbers[rows[~is_new]]]
                thumbnails[is_new] = new.thumbnails[numbers[rows[is_new]]]
                append(thumbnails)
        return _dependencies()

    entry = array_cache.write_entry(
        index_key(root), write, kind=KIND, label=_label(root), limit=MAX_BYTES
    )
    return IndexRows(text, records, reasons, entry.arrays["thumbnails"])


def _label(root: FileRoot) -> str:
    return f"the index of {root}"


@functools.cache
def _dependencies() -> dict[str, Any]:
    """Return what the facts of a file depend on, apart from the file."""
    return {
        "Pillow": PIL.__version__,
        "HEIC": importlib.util.find_spec("pillow_heif") is not None,
        "source": source_digest(sys.modules[__name__], *_READERS),
    }


def source_digest(*modules: ModuleType) -> str:
    """Return a hexadecimal SHA-256 that changes with the code of modules, of which a result is."""
    sources = b"".join(Path(module.__file__ or "").read_bytes() for module in modules)
    return hashlib.sha256(sources).hexdigest()


def _bytes(text: str) -> np.ndarray:
    # A name that is not UTF-8 has halves of surrogate pairs.
    return np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)


def _text(array: np.ndarray) -> str:
    return array.tobytes().decode("utf-8", "surrogatepass")
