"""A directory of predictions: a part for each shard, and what all of them were made by."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from typing import Any

from pyarrow import ArrowException
from pyarrow.parquet import ParquetFile

from pipeline.errors import UsageError
from pipeline.inference.prediction_counts import PredictionCounts
from pipeline.storage import Storage

MANIFEST = "_manifest.json"  # Spark, pandas and Arrow ignore files with an underscore

_DIGEST = "pipeline_manifest"
_PART = re.compile(r"part-\d{5,}\.parquet")
_THREADS = 16  # that look at the parts


def part_name(number: int) -> str:
    """Return the name of the part of a shard, which is numbered from 0."""
    return f"part-{number:05}.parquet"


def part_metadata(digest: str, counts: PredictionCounts) -> dict[str, str]:
    """Return what a part says of itself, and of the manifest that it belongs to."""
    return {_DIGEST: digest, **{f"pipeline_{k}": str(v) for k, v in asdict(counts).items()}}


@dataclass(frozen=True)
class Manifest:
    """What the parts of a directory were made by.

    Attributes:
        compared: what has to be the same when the command is given again, by what people call it.
        noted: what else is good to know, such as the version of this package.
    """

    compared: Mapping[str, Any]
    noted: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """The hexadecimal SHA-256 of what is compared."""
        return hashlib.sha256(json.dumps(self.compared, sort_keys=True).encode()).hexdigest()

    def write(self, storage: Storage) -> None:
        """Write the manifest, unless the directory has the same one.

        Raises:
            UsageError: if the directory has the predictions of another command.
        """
        names = set(storage.names())
        if MANIFEST in names:
            self._check(storage)
            return
        if any(name.endswith(".parquet") for name in names):
            raise UsageError(
                f"{storage} has Parquet files, and no {MANIFEST} that says what they were "
                "predicted by. Name another directory with --output."
            )
        content = {**self.noted, **self.compared, "digest": self.digest}
        text = json.dumps(content, indent=1, ensure_ascii=False)
        storage.write_bytes(MANIFEST, text.encode("utf-8", "backslashreplace"))

    def _check(self, storage: Storage) -> None:
        try:
            found = json.loads(storage.read_bytes(MANIFEST))
            if found["digest"] == self.digest:
                return
            different = [name for name in self.compared if found.get(name) != self.compared[name]]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UsageError(
                f"{storage} has a damaged {MANIFEST}. Name another directory with --output."
            ) from None
        raise UsageError(
            f"{storage} has predictions by another command: {' and '.join(different)} "
            f"{'differs' if len(different) == 1 else 'differ'}. Name another directory with "
            "--output, or give the same command again to resume that one."
        )


def finished_parts(storage: Storage, digest: str) -> dict[int, PredictionCounts]:
    """Return what is in the parts that are there and whole, by their numbers.

    Args:
        storage: the directory.
        digest: of the manifest that they have to belong to.
    """
    names = [name for name in storage.names() if _PART.fullmatch(name)]
    with ThreadPoolExecutor(_THREADS) as threads:
        counts = threads.map(lambda name: _counts(storage, name, digest), names)
        numbers = (int(name.removeprefix("part-").partition(".")[0]) for name in names)
        return {number: found for number, found in zip(numbers, counts, strict=True) if found}


def _counts(storage: Storage, name: str, digest: str) -> PredictionCounts | None:
    try:
        with ParquetFile(io.BytesIO(storage.read_bytes(name))) as file:
            metadata = file.metadata.metadata or {}
            known = {key.decode(): value.decode() for key, value in metadata.items()}
        if known[_DIGEST] != digest:
            return None
        return PredictionCounts(
            *(int(known[f"pipeline_{field.name}"]) for field in fields(PredictionCounts))
        )
    except (ArrowException, OSError, KeyError, ValueError):  # it is not whole
        return None
