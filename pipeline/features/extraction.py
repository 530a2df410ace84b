"""Compute the features of images with a frozen network, once, and cache them."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import array_cache
from pipeline.array_cache import CachedArrays
from pipeline.data.splits import Split
from pipeline.engines.engine import Variant
from pipeline.engines.frozen_graph import CompiledGraph
from pipeline.errors import PipelineError
from pipeline.features.known_views import KnownViews, ViewTable
from pipeline.features.shards import (
    Machines,
    ShardWork,
    compute_shards,
    images_per_shard,
    read_shards,
)
from pipeline.features.splitting import ModelSplit
from pipeline.features.view_labels import LabelBatch, ViewLabels, join_batches
from pipeline.features.view_stream import AugmentedViews, ViewStream, processing_order
from pipeline.mapped_rows import read_rows
from pipeline.npy_writer import npy_writer
from pipeline.storage import Storage
from pipeline.tasks.label_encoding import LabelEncoding

# More bytes of features are read from their files: TensorFlow makes several copies of a tensor.
_MAX_BYTES_IN_MEMORY = 32 * 2**20
# Of its row, its digest and the two classes in a mixed label, with their weights.
_BYTES_OF_VIEW = 40
_FORMAT = 6  # of cached features; with another number, all are computed again


@dataclass(frozen=True)
class Features:
    """Features of every view of every image of a split.

    Attributes:
        activations: an array (rows, …) for each output of the frozen network, memory-mapped.
        rows: int64 (images, views), the row of each view; views with equal pixels share a row.
        labels: the label of each view.
        images_per_second: how fast they were computed; 0 if they come from the cache.
    """

    activations: list[np.ndarray]
    rows: np.ndarray
    labels: ViewLabels
    images_per_second: float

    @property
    def views(self) -> int:
        return int(self.rows.shape[1])

    @property
    def fits_in_memory(self) -> bool:
        return sum(array.nbytes for array in self.activations) <= _MAX_BYTES_IN_MEMORY

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, indices: np.ndarray) -> Features:
        """Return the features of the images at `indices`, int (n,)."""
        labels = dataclasses.replace(
            self.labels,
            labels=self.labels.labels[indices],
            weights=self.labels.weights[indices],
        )
        return dataclasses.replace(self, rows=self.rows[indices], labels=labels)

    def batch(self, indices: np.ndarray, view: int | np.ndarray) -> list[np.ndarray]:
        """Return the features of one view of the images at `indices`, float32 (n, …) each.

        `view` is the number of the view of all images or, int (n,), of each.
        """
        rows = self.rows[indices, view]
        return [read_rows(array, rows, np.float32) for array in self.activations]


@dataclass(frozen=True)
class FeatureExtractor:
    """Computes features with the frozen part of a model unless they are cached.

    Attributes:
        model_split: the model.
        encoding: of the labels.
        limit: bytes that the whole cache may take.
        variant: the engine that computes them.
        engine: what the bits of its results depend on, serializable as JSON.
        compiled: returns the frozen part as the engine compiled it; called only to compute.
        known: returns features that were computed already, besides those in the cache.
        machines: what computes the features of many images.
    """

    model_split: ModelSplit
    encoding: LabelEncoding
    limit: int
    variant: Variant
    engine: Mapping[str, Any]
    compiled: Callable[[], CompiledGraph]
    known: Callable[[], Sequence[CachedArrays]]
    machines: Machines

    def max_bytes(self, images: int, views: int) -> int:
        """Return the size of the features of so many images if all their views differ."""
        activations = sum(int(np.prod(shape)) for shape in self._shapes) * self._dtype.itemsize
        return images * views * (activations + _BYTES_OF_VIEW)

    def is_cached(self, split: Split, views: AugmentedViews) -> bool:
        return array_cache.contains(self.key(split, views))

    def extract(self, split: Split, views: AugmentedViews, *, name: str) -> Features:
        """Return the features of a split, computed or from the cache.

        Args:
            split: the images.
            views: how they are augmented.
            name: of the cache entry, for people.

        Raises:
            PipelineError: if they do not fit on the disk.
        """
        if not self.is_cached(split, views):
            self._check_disk_space(len(split), views.count)
        started = time.perf_counter()
        cached = array_cache.get_or_compute(
            self.key(split, views),
            lambda directory: self._compute(split, views, directory),
            kind="features",
            label=f"{name}, {len(split):,} images, {views.count} views",
            limit=self.limit,
        )
        seconds = time.perf_counter() - started
        activations = [cached.arrays[f"activations_{i}"] for i in range(len(self._shapes))]
        return Features(
            activations=activations,
            rows=np.asarray(cached.arrays["rows"]),
            labels=ViewLabels(
                np.asarray(cached.arrays["labels"]),
                np.asarray(cached.arrays["weights"]),
                self.encoding.width,
            ),
            images_per_second=0.0 if cached.was_cached else cached.facts["computed"] / seconds,
        )

    def _check_disk_space(self, images: int, views: int) -> None:
        needed, free = self.max_bytes(images, views), array_cache.free_bytes()
        if needed > free:
            raise PipelineError(
                f"The features of {images:,} images in {views} views need "
                f"{needed / 2**30:.1f} GiB. {array_cache.cache_directory()} has "
                f"{free / 2**30:.1f} GiB left. Lower training.views, free disk space (pipeline "
                "cache --clear), or set PIPELINE_CACHE to another directory."
            )

    @property
    def _dtype(self) -> np.dtype[Any]:
        return np.dtype(self.variant.storage_dtype)

    @property
    def _shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the activations of an image."""
        return self.model_split.frozen.output_shapes

    @property
    def _graph_key(self) -> str:
        """The key of what the activations of given pixels depend on."""
        graph = self.model_split.frozen
        return array_cache.cache_key(
            {
                "format": _FORMAT,
                "engine": dict(self.engine),
                "index": self.model_split.index,
                "graph": graph.digest,
                "pool": graph.pool,
            }
        )

    def key(self, split: Split, views: AugmentedViews) -> str:
        """Return the key of the features of a split in the cache."""
        return array_cache.cache_key(
            {
                "graph": self._graph_key,
                "images": split.digest,
                "views": views.count,
                "augmentation": views.config,
                "seed": views.seed if views.layers else None,
            }
        )

    def _compute(self, split: Split, views: AugmentedViews, directory: Path) -> dict[str, Any]:
        size = images_per_shard(len(split), self.max_bytes(1, views.count))
        if self.machines.cluster != "local" and len(split) > size:
            computed = self._compute_in_shards(split, views, directory, size)
        else:
            computed = self._compute_here(split, views, directory)
        return {"graph": self._graph_key, "computed": computed}

    def _compute_here(self, split: Split, views: AugmentedViews, directory: Path) -> int:
        """Write the features of a split; return how many views were computed."""
        kept = array_cache.find_entries("features", "graph", self._graph_key)
        known = KnownViews([*kept, *self.known()])
        table = ViewTable(known, len(split), views.count)
        batches: list[LabelBatch] = []
        order = processing_order(len(split), views)
        stream = ViewStream(split.images, split.labels, order, views, self.encoding)
        activations = self._activations(stream.new_views(table, batches))
        self._write_activations(directory, itertools.chain(activations, table.copied_activations()))
        _write_views(directory, table.rows(), table.digests(), batches)
        return table.computed

    def _compute_in_shards(
        self, split: Split, views: AugmentedViews, directory: Path, size: int
    ) -> int:
        """Write the features of a split, computed by a cluster; return how many views were."""
        work = ShardWork(
            self.compiled(),
            self.variant,
            self.engine,
            views,
            self.encoding,
            Storage(self.machines.storage),
            self.key(split, views),
        )
        order = processing_order(len(split), views)
        computed = compute_shards(
            work,
            split.images,
            split.labels,
            order,
            size=size,
            cluster=self.machines.cluster,
            name=f"{len(split):,} images",
        )
        rows = np.empty((len(split), views.count), np.int64)
        digests: list[np.ndarray] = []
        batches: list[LabelBatch] = []

        def activations() -> Iterator[list[np.ndarray]]:
            starts = range(0, len(order), size)
            first_row = 0
            for start, content in zip(starts, read_shards(work, len(starts)), strict=True):
                indices = order[start : start + size]
                rows[indices] = content.rows + first_row
                digests.append(content.digests)
                batches.extend((indices[each[0]], *each[1:]) for each in content.labels)
                first_row += len(content.digests)
                yield content.activations

        self._write_activations(directory, activations())
        _write_views(directory, rows, np.concatenate(digests), batches)
        work.storage.remove(work.folder)
        return computed

    def _write_activations(self, directory: Path, parts: Iterable[list[np.ndarray]]) -> None:
        with contextlib.ExitStack() as files:
            writers = [
                files.enter_context(
                    npy_writer(directory / f"activations_{i}.npy", self._dtype, shape)
                )
                for i, shape in enumerate(self._shapes)
            ]
            for activations in parts:
                for write, array in zip(writers, activations, strict=True):
                    write(array)

    def _activations(self, images: Iterator[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """Yield the activations of batches of images, without compiling anything for none."""
        first = next(images, None)
        if first is not None:
            yield from self.compiled().run(itertools.chain([first], images))


def _write_views(
    directory: Path, rows: np.ndarray, digests: np.ndarray, batches: list[LabelBatch]
) -> None:
    """Write what is known of the views: their rows, digests and labels."""
    np.save(directory / "rows.npy", rows)
    np.save(directory / "digests.npy", digests)
    labels, weights = join_batches(batches, *rows.shape)
    np.save(directory / "labels.npy", labels)
    np.save(directory / "weights.npy", weights)
