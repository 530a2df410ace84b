"""Features in shards, each of some images, which the machines of a cluster compute."""

from __future__ import annotations

import functools
import hashlib
import io
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.cluster.cluster import Lost, UnfitMachineError
from pipeline.cluster.opening import open_cluster
from pipeline.cluster.piece_progress import PieceProgress
from pipeline.data.splits import Images
from pipeline.engines.engine import ENGINES, Variant
from pipeline.engines.frozen_graph import CompiledGraph
from pipeline.errors import PipelineError
from pipeline.features.known_views import KnownViews, ViewTable
from pipeline.features.view_labels import LabelBatch
from pipeline.features.view_stream import BATCH_SIZE, AugmentedViews, ViewStream
from pipeline.storage import Storage
from pipeline.tasks.label_encoding import LabelEncoding

logger = logging.getLogger(__name__)

# The images in a shard: few enough to divide among machines, enough that its start is little.
_SHARDS = 10
_MIN_IMAGES, _MAX_IMAGES = 256, 2048
_MAX_BYTES = 64 * 2**20  # of a shard, unless a single batch has more
_DIGEST_BYTES = 32
_RETRIES = 2  # of a shard whose process died


@dataclass(frozen=True)
class Machines:
    """What computes features besides this machine.

    Attributes:
        cluster: `runtime.cluster` of the recipe.
        storage: the address where the machines leave their shards.
    """

    cluster: str
    storage: str


@dataclass(frozen=True)
class Shard:
    """Some of the images of a split, whose features are computed together.

    Attributes:
        number: its place among the shards.
        images: the images.
        labels: of them, as `Split.labels` has them.
        first_batch: the number of its first batch among those of the split.
    """

    number: int
    images: Images
    labels: np.ndarray
    first_batch: int

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class ShardContent:
    """The features of a shard.

    Attributes:
        activations: an array (rows, …) for each output of the frozen network.
        rows: int64 (images, views), the row of each view.
        digests: uint8 (rows, bytes), of the pixels of each row.
        labels: of each batch, with the indices of images in the shard.
    """

    activations: list[np.ndarray]
    rows: np.ndarray
    digests: np.ndarray
    labels: list[LabelBatch]

    def pack(self) -> bytes:
        """Return the content with its digest before it."""
        arrays: dict[str, Any] = {"rows": self.rows, "digests": self.digests}
        arrays |= {f"activations_{i}": array for i, array in enumerate(self.activations)}
        for i, (indices, view, labels, weights) in enumerate(self.labels):
            arrays |= {f"indices_{i}": indices, f"view_{i}": view}
            arrays |= {f"labels_{i}": labels, f"weights_{i}": weights}
        file = io.BytesIO()
        np.savez(file, **arrays)
        payload = file.getvalue()
        return hashlib.sha256(payload).digest() + payload

    @classmethod
    def unpack(cls, content: bytes) -> ShardContent | None:
        """Return what `pack` packed; None if it is damaged."""
        payload = content[_DIGEST_BYTES:]
        if hashlib.sha256(payload).digest() != content[:_DIGEST_BYTES]:
            return None
        with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
            counts = {name: sum(each.startswith(name) for each in arrays) for name in _NUMBERED}
            labels = [
                (
                    arrays[f"indices_{i}"],
                    int(arrays[f"view_{i}"]),
                    arrays[f"labels_{i}"],
                    arrays[f"weights_{i}"],
                )
                for i in range(counts["labels_"])
            ]
            activations = [arrays[f"activations_{i}"] for i in range(counts["activations_"])]
            return cls(activations, arrays["rows"], arrays["digests"], labels)


_NUMBERED = ("activations_", "labels_")


@dataclass(frozen=True)
class ShardWork:
    """What a machine needs to compute shards.

    Attributes:
        graph: the frozen network, compiled.
        variant: the engine.
        facts: what the bits of its results depend on, on the driver.
        views: how the images are augmented.
        encoding: of the labels.
        storage: where the shards go.
        folder: in the storage.
    """

    graph: CompiledGraph
    variant: Variant
    facts: Mapping[str, Any]
    views: AugmentedViews
    encoding: LabelEncoding
    storage: Storage
    folder: str

    def compute(self, shard: Shard) -> int:
        """Compute and write the features of a shard; return how many views were computed."""
        count = len(shard)
        table, labels = ViewTable(KnownViews(()), count, self.views.count), list[LabelBatch]()
        stream = ViewStream(
            shard.images,
            shard.labels,
            np.arange(count),
            self.views,
            self.encoding,
            first_batch=shard.first_batch,
        )
        parts = list(self.graph.run(stream.new_views(table, labels)))
        dtype = np.dtype(self.variant.storage_dtype)
        activations = [
            np.concatenate([part.astype(dtype) for part in of_output])
            for of_output in zip(*parts, strict=True)
        ]
        content = ShardContent(activations, table.rows(), table.digests(), labels)
        self.storage.write_bytes(self.name(shard.number), content.pack())
        return table.computed

    def read(self, number: int) -> ShardContent | None:
        """Return a shard from the storage; None if it is damaged or absent."""
        try:
            return ShardContent.unpack(self.storage.read_bytes(self.name(number)))
        except FileNotFoundError:
            return None

    def name(self, number: int) -> str:
        """Return the name of a shard in the storage."""
        return f"{self.folder}/{number:06d}.npz"


def make_worker(work: ShardWork) -> Callable[[Shard], int]:
    """Return what computes shards on this machine.

    Raises:
        UnfitMachineError: if its features may differ from those of the driver.
    """
    here = ENGINES[work.variant.engine].facts(work.variant.precision)
    if here != {name: work.facts[name] for name in here}:
        raise UnfitMachineError(
            f"{work.variant} computes other bits on it than on the driver: its processor has other "
            "instructions, or a package another version."
        )
    return work.compute


def images_per_shard(images: int, bytes_per_image: int) -> int:
    """Return how many of the images, a multiple of the batch size, a shard should have."""
    size = min(max(images // _SHARDS, _MIN_IMAGES), _MAX_IMAGES, _MAX_BYTES // bytes_per_image)
    return max(size // BATCH_SIZE, 1) * BATCH_SIZE


def compute_shards(
    work: ShardWork,
    images: Images,
    labels: np.ndarray,
    order: np.ndarray,
    *,
    size: int,
    cluster: str,
    name: str,
) -> int:
    """Compute the shards that the storage does not have yet; return how many views were computed.

    Args:
        work: what the machines need.
        images: of the split.
        labels: of them.
        order: int (n,), in which the images are processed.
        size: of a shard, as `images_per_shard` returns it.
        cluster: address of the cluster.
        name: of the images, for people.

    Raises:
        PipelineError: if no machine can compute them, or the processes die again and again.
    """
    starts = range(0, len(order), size)
    folder = set(work.storage.names(work.folder))
    present = {
        number
        for number in range(len(starts))
        if work.name(number) in folder and work.read(number) is not None
    }
    if present:
        logger.info(f"{len(present):,} of {len(starts):,} shards of {name} are there already")

    def missing() -> Iterator[Shard]:
        for number, start in enumerate(starts):
            if number not in present:
                indices = order[start : start + size]
                part, of_part = images.part(indices), labels[indices]
                yield Shard(number, part, of_part, start // BATCH_SIZE)

    if len(present) == len(starts):
        return 0
    computed = 0
    doing = f"features of {name}"
    progress = PieceProgress(len(starts), len(present), doing=doing, pieces="shards")
    with progress.shown(), open_cluster(cluster) as opened:
        make = functools.partial(make_worker, work)
        for shard, result in opened.results(make, missing(), retries=_RETRIES):
            if isinstance(result, Lost):
                raise PipelineError(
                    f"The features of {len(shard):,} images could not be computed. {result.reason} "
                    "Those of other images are kept: start the command again."
                )
            computed += result
            progress.advance(len(shard))
    return computed


def read_shards(work: ShardWork, count: int) -> Iterator[ShardContent]:
    """Yield the shards in their order.

    Raises:
        PipelineError: if one is damaged, or absent although it was computed.
    """
    for number in range(count):
        content = work.read(number)
        if content is None:
            raise PipelineError(
                f"runtime.storage: {work.storage} does not have {work.name(number)} as a "
                "machine of the cluster wrote it. Set it to a directory that all machines share, "
                "or to an address such as s3://BUCKET/FOLDER, and start the command again."
            )
        yield content
