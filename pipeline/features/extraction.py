"""Compute the features of images with a frozen network, once, and cache them."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline import array_cache
from pipeline.data.augmentation import augmenter
from pipeline.data.batches import batches_at
from pipeline.data.splits import Split
from pipeline.engines.engine import Variant
from pipeline.engines.frozen_graph import CompiledGraph
from pipeline.errors import PipelineError
from pipeline.features.known_views import KnownViews, ViewTable
from pipeline.features.splitting import ModelSplit
from pipeline.features.view_labels import (
    LabelBatch,
    ViewLabels,
    dense_labels,
    join_batches,
    to_sparse,
)
from pipeline.npy_writer import npy_writer
from pipeline.tasks.label_encoding import LabelEncoding

BATCH_SIZE = 32
# More bytes of features are read from their files: TensorFlow makes several copies of a tensor.
_MAX_BYTES_IN_MEMORY = 32 * 2**20
# Of its row, its digest and the two classes in a mixed label, with their weights.
_BYTES_OF_VIEW = 40
_FORMAT = 5  # of cached features; with another number, all are computed again


@dataclass(frozen=True)
class AugmentedViews:
    """How the images of a split are augmented before their features are computed.

    Attributes:
        count: augmented views of each image.
        layers: Keras preprocessing layers; none leaves the images unchanged.
        config: what determines the layers, serializable as JSON.
        seed: of the random numbers.
    """

    count: int
    layers: Sequence[Any]
    config: Any
    seed: int

    @property
    def distinct(self) -> int:
        """How many views of an image may differ, at most: flips have few outcomes."""
        outcomes = 1
        for layer in self.layers:
            if not isinstance(layer, keras.layers.RandomFlip):
                return self.count
            outcomes *= 4 if layer.get_config()["mode"] == "horizontal_and_vertical" else 2
        return min(self.count, outcomes)


UNAUGMENTED = AugmentedViews(count=1, layers=(), config=None, seed=0)


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
        return [array[rows].astype(np.float32) for array in self.activations]


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
    """

    model_split: ModelSplit
    encoding: LabelEncoding
    limit: int
    variant: Variant
    engine: Mapping[str, Any]
    compiled: Callable[[], CompiledGraph]

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
        prepare = graph.prepare
        return array_cache.cache_key(
            {
                "format": _FORMAT,
                "engine": dict(self.engine),
                "index": self.model_split.index,
                "weights": self.model_split.digest,
                "input": graph.input_shape,
                "pool": graph.pool,
                "preparation": [type(operation).__name__ for operation in prepare.operations],
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
        known = KnownViews(array_cache.find_entries("features", "graph", self._graph_key))
        table = ViewTable(known, len(split), views.count)
        batches: list[LabelBatch] = []
        with contextlib.ExitStack() as files:
            writers = [
                files.enter_context(
                    npy_writer(directory / f"activations_{i}.npy", self._dtype, shape)
                )
                for i, shape in enumerate(self._shapes)
            ]
            for activations in itertools.chain(
                self._activations(_prefetch(self._new_views(split, views, table, batches))),
                table.copied_activations(),
            ):
                for write, array in zip(writers, activations, strict=True):
                    write(array)
        np.save(directory / "rows.npy", table.rows())
        np.save(directory / "digests.npy", table.digests())
        labels, weights = join_batches(batches, len(split), views.count)
        np.save(directory / "labels.npy", labels)
        np.save(directory / "weights.npy", weights)
        return {"graph": self._graph_key, "computed": table.computed}

    def _activations(self, images: Iterator[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """Yield the activations of batches of images, without compiling anything for none."""
        first = next(images, None)
        if first is not None:
            yield from self.compiled().run(itertools.chain([first], images))

    def _new_views(
        self, split: Split, views: AugmentedViews, table: ViewTable, labels: list[LabelBatch]
    ) -> Iterator[np.ndarray]:
        """Yield batches of the views to compute, float32 (n, height, width, channels).

        Args:
            split: the images.
            views: how they are augmented.
            table: is filled with all views.
            labels: is filled with the labels of each batch, for `join_batches`.
        """
        # MixUp and the like mix neighbours, which must not all be of one class.
        order = np.arange(len(split))
        if views.layers:
            order = np.random.default_rng(views.seed).permutation(len(split))
        new: list[np.ndarray] = []
        for number, images, targets in self._view_batches(split, views, order):
            batch, view = divmod(int(number), views.count)
            indices = order[batch * BATCH_SIZE : (batch + 1) * BATCH_SIZE]
            labels.append((indices, view, *to_sparse(targets.numpy())))
            if view == 0:
                table.forget_views()
            for index, image in zip(indices, images.numpy(), strict=True):
                pixels = np.asarray(image, np.float32)
                if table.add(pixels, index, view):
                    new.append(pixels)
            while len(new) >= BATCH_SIZE:
                yield np.stack(new[:BATCH_SIZE])
                del new[:BATCH_SIZE]
        if new:
            yield np.stack(new)

    def _view_batches(
        self, split: Split, views: AugmentedViews, order: np.ndarray
    ) -> tf.data.Dataset:
        """Return (number, images, labels): all views of the first batch, then of the next."""
        indices = tf.data.Dataset.from_tensor_slices(order).batch(BATCH_SIZE)
        batches = batches_at(indices, split)
        count = views.count
        numbered = batches.enumerate().flat_map(
            lambda i, batch: tf.data.Dataset.range(i * count, (i + 1) * count).map(
                lambda number: (number, *batch)
            )
        )
        if views.layers:
            augment, dense = augmenter(views.layers, seed=views.seed), self.encoding.dense
            numbered = numbered.map(lambda number, x, y: (number, *augment(x, dense(y), number)))
        options = tf.data.Options()
        options.autotune.enabled = False  # it delays the end of the iteration by seconds
        return numbered.prefetch(2).with_options(options)


def _prefetch(items: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the items of an iterator while a thread prepares the next one."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, items, None)
        while (item := following.result()) is not None:
            following = thread.submit(next, items, None)
            yield item


def feature_batches(
    features: Features, indices: tf.data.Dataset, to_targets: Callable[[Any, Any], Any]
) -> tf.data.Dataset:
    """Return batches of features, float32, and labels.

    Args:
        features: the features.
        indices: batches of int64 (n,) each: how often the image was drawn before, which chooses
            one of its views, and its index.
        to_targets: makes labels into the targets of an output layer, as `targets_for` returns it.
    """
    if features.fits_in_memory:
        tables, classes = feature_tables(features), features.labels.classes

        def batch(passes: Any, of_images: Any) -> Any:
            return to_targets(*read_features(tables, classes, passes, of_images))

    else:
        read, labels_at = _file_reader(features), features.labels.reader()

        def batch(passes: Any, of_images: Any) -> Any:
            views = passes % features.views
            activations = read(views, of_images)
            for tensor, array in zip(activations, features.activations, strict=True):
                tensor.set_shape((None, *array.shape[1:]))
            return to_targets(_single_or_tuple(activations), labels_at(views, of_images))

    return indices.map(batch, num_parallel_calls=2, deterministic=True).prefetch(2)


def feature_tables(features: Features) -> dict[str, Any]:
    """Return features that fit in memory as tensors, for `read_features`."""
    with tf.device("CPU:0"):
        return {
            "activations": tuple(tf.constant(array) for array in features.activations),
            "rows": tf.constant(features.rows),
            "labels": features.labels.tensors(),
        }


def read_features(
    tables: Mapping[str, Any], classes: int, passes: Any, indices: Any
) -> tuple[Any, Any]:
    """Return the features of images, float32, and their labels, float32 (n, classes).

    It is computed within TensorFlow.

    Args:
        tables: what `feature_tables` returned.
        classes: the number of classes.
        passes: int64 (n,), how often each image was drawn before, which chooses one of its views.
        indices: int64 (n,), of the images.
    """
    rows = tables["rows"]
    views = passes % tf.shape(rows, tf.int64)[1]
    batch_rows = tf.gather_nd(rows, tf.stack([indices, views], axis=1))
    activations = [
        tf.cast(tf.gather(array, batch_rows), tf.float32) for array in tables["activations"]
    ]
    labels = dense_labels(tables["labels"], classes, views, indices)
    return _single_or_tuple(activations), labels


def _single_or_tuple(activations: Sequence[Any]) -> Any:
    return activations[0] if len(activations) == 1 else tuple(activations)


def _file_reader(features: Features) -> Callable[[Any, Any], list[Any]]:
    """Return a function that reads activations from their files."""

    def read(views: np.ndarray, indices: np.ndarray) -> list[np.ndarray]:
        return features.batch(indices, views)

    types = [tf.float32] * len(features.activations)
    return lambda views, indices: tf.numpy_function(read, [views, indices], types, stateful=False)
