"""Send each view of each image through the frozen prefix once, and keep what comes out."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.data.augmentation import augmenter
from pipeline.data.batches import batches_at
from pipeline.errors import PipelineError
from pipeline.features import feature_cache
from pipeline.features.npy_writer import npy_writer
from pipeline.features.precision_guard import CACHE_DTYPES, FrozenNetwork
from pipeline.features.splitting import ModelSplit

if TYPE_CHECKING:
    from pipeline.data.splits import Split

BATCH = 32
# Bytes of activations, of which TensorFlow makes several copies; more are read from their files.
_MOST_IN_MEMORY = 32 * 2**20
_FORMAT = 2  # of what is kept; another number makes everything be computed anew


@dataclass(frozen=True)
class Views:
    """How the images of a split are varied before they are kept.

    Attributes:
        count: variations of each image.
        layers: Keras preprocessing layers; none for the images as they are.
        settings: what determines the layers, as JSON can hold it.
        seed: the stream of random numbers.
    """

    count: int
    layers: Sequence[Any]
    settings: Any
    seed: int


UNAUGMENTED = Views(count=1, layers=(), settings=None, seed=0)


@dataclass(frozen=True)
class Features:
    """Activations of every view of every image of a split.

    Attributes:
        activations: for each tensor at the cut an array (rows, …), memory-mapped.
        rows: int64 (images, views): the row of each view of each image. Views that are equal in
            every pixel share one.
        labels: float32 (images, views, classes).
        precision: what they were computed in; `stock` is float32 and not compiled.
        relative_error: their distance from the stock network's on sample images.
        images_per_second: how fast they were computed; 0 if they were there already.
    """

    activations: list[np.ndarray]
    rows: np.ndarray
    labels: np.ndarray
    precision: str
    relative_error: float
    images_per_second: float

    @property
    def views(self) -> int:
        """The number of views of each image."""
        return int(self.labels.shape[1])

    @property
    def is_held(self) -> bool:
        """Whether the activations are so few that they may be held in memory."""
        return sum(array.nbytes for array in self.activations) <= _MOST_IN_MEMORY

    def __len__(self) -> int:
        return len(self.labels)

    def of(self, numbers: np.ndarray, view: int) -> list[np.ndarray]:
        """Return the activations of one view of the images at `numbers`, float32 (n, …) each."""
        rows = self.rows[numbers, view]
        return [array[rows].astype(np.float32) for array in self.activations]


class FeatureExtractor:
    """Computes activations with a compiled prefix, and knows what determines them.

    The prefix is compiled and compared with the stock one only when there is something to compute.
    """

    def __init__(
        self,
        cut: ModelSplit,
        choose: Callable[[], FrozenNetwork],
        *,
        wanted: str,
        sample: str | None,
        classes: int,
        limit: int,
    ) -> None:
        """Prepare to compute.

        Args:
            cut: the model.
            choose: picks the network to compute with, which is asked for once, if at all.
            wanted: the precision that `choose` tries first.
            sample: digest of the images that `choose` decides by.
            classes: the number of classes.
            limit: bytes that everything kept may take together.
        """
        self._choose = choose
        self._classes = classes
        self._limit = limit
        self._prepare = cut.prepare
        self._pool = cut.pool
        self._shapes = [self._kept_shape(tensor.shape) for tensor in cut.prefix.outputs]
        self._determined_by = {
            "format": _FORMAT,
            "versions": [keras.__version__, tf.__version__],
            "wanted": wanted,
            "sample": sample,
            "place": cut.place,
            "weights": cut.prefix_digest,
            "input": [*cut.prepare.input_shape[1:]],
            "preparation": [type(operation).__name__ for operation in cut.prepare.operations],
        }

    @functools.cached_property
    def choice(self) -> FrozenNetwork:
        """The network to compute with."""
        return self._choose()

    def bytes_for(self, images: int, views: int) -> int:
        """Return the most that the activations of so many images take."""
        one = sum(int(np.prod(shape)) for shape in self._shapes) * self._dtype.itemsize
        return images * views * (one + self._classes * 4)

    def features(self, split: Split, views: Views, *, name: str) -> Features:
        """Return the activations of a split, computed or kept from an earlier run.

        Raises:
            PipelineError: if they do not fit on the disk.
        """
        key = self._key(split, views)
        if not feature_cache.contains(key):
            self._refuse_what_does_not_fit(len(split), views.count)
        started = time.perf_counter()
        found = feature_cache.get_or_compute(
            key,
            lambda folder: self._compute(split, views, folder),
            label=f"{name}, {len(split):,} images, {views.count} views",
            limit=self._limit,
        )
        seconds = time.perf_counter() - started
        arrays = found.arrays
        activations = [arrays[f"activations_{i}"] for i in range(len(self._shapes))]
        return Features(
            activations=activations,
            rows=np.asarray(arrays["rows"]),
            labels=np.asarray(arrays["labels"]),
            precision=found.facts["precision"],
            relative_error=found.facts["relative_error"],
            images_per_second=0.0 if found.was_there else len(activations[0]) / seconds,
        )

    def has(self, split: Split, views: Views) -> bool:
        """Return whether the activations of a split are kept from an earlier run."""
        return feature_cache.contains(self._key(split, views))

    def _refuse_what_does_not_fit(self, images: int, views: int) -> None:
        needed, free = self.bytes_for(images, views), feature_cache.free_bytes()
        if needed > free:
            raise PipelineError(
                f"The features of {images:,} images in {views} views take "
                f"{needed / 2**30:.1f} GiB, and {feature_cache.cache_directory()} has {free / 2**30:.1f} GiB left. "
                "Lower training.views, free some space (pipeline cache --clear), or name another "
                "folder in PIPELINE_CACHE."
            )

    @property
    def _dtype(self) -> np.dtype[Any]:
        return np.dtype(CACHE_DTYPES[self.choice.precision])

    def _key(self, split: Split, views: Views) -> str:
        return feature_cache.cache_key(
            {
                **self._determined_by,
                "images": split.digest,
                "views": views.count,
                "augmentation": views.settings,
                "seed": views.seed if views.layers else None,
            }
        )

    def _compute(self, split: Split, views: Views, folder: Path) -> dict[str, Any]:
        rows = np.zeros((len(split), views.count), np.int64)
        labels = np.zeros((*rows.shape, self._classes), np.float32)
        # Images that are mixed with their neighbours must not have neighbours of one class alone.
        order = np.arange(len(split))
        if views.layers:
            order = np.random.default_rng(views.seed).permutation(len(split))
        with contextlib.ExitStack() as files:
            appends = [
                files.enter_context(npy_writer(folder / f"activations_{i}.npy", self._dtype, shape))
                for i, shape in enumerate(self._shapes)
            ]

            for images in prefetch(self._distinct(split, views, order, rows, labels)):
                for append, output in zip(appends, self._activations(images), strict=True):
                    append(output.numpy())
        np.save(folder / "rows.npy", rows)
        np.save(folder / "labels.npy", labels)
        return {"precision": self.choice.precision, "relative_error": self.choice.error}

    def _distinct(
        self, split: Split, views: Views, order: np.ndarray, rows: np.ndarray, labels: np.ndarray
    ) -> Iterator[np.ndarray]:
        """Yield the views that differ, float32 (n, height, width, channels).

        Args:
            split: the images.
            views: how they are varied.
            order: of the images.
            rows: is filled with the place of each view of each image among those that differ.
            labels: is filled with the labels of each view of each image.
        """
        new: list[np.ndarray] = []
        row_of: dict[bytes, int] = {}  # by the digest of a view, in all views of one batch
        count = 0
        for number, images, targets in self._batches(split, views, order):
            batch, view = divmod(int(number), views.count)
            places = order[batch * BATCH : (batch + 1) * BATCH]
            labels[places, view] = targets
            if view == 0:
                row_of.clear()
            for place, image in zip(places, images.numpy(), strict=True):
                digest = hashlib.sha256(image).digest()
                if digest not in row_of:
                    row_of[digest] = count
                    new.append(image)
                    count += 1
                rows[place, view] = row_of[digest]
            while len(new) >= BATCH:
                yield np.stack(new[:BATCH], dtype=np.float32)
                del new[:BATCH]
        if new:
            yield np.stack(new, dtype=np.float32)

    def _batches(self, split: Split, views: Views, order: np.ndarray) -> tf.data.Dataset:
        """Return (number, images, labels): all views of the first batch, then of the next."""
        indices = tf.data.Dataset.from_tensor_slices(order).batch(BATCH)
        batches = batches_at(indices, split, self._classes)
        count = views.count
        numbered = batches.enumerate().flat_map(
            lambda i, batch: tf.data.Dataset.range(i * count, (i + 1) * count).map(
                lambda number: (number, *batch)
            )
        )
        if views.layers:
            augment = augmenter(views.layers, seed=views.seed)
            numbered = numbered.map(lambda number, x, y: (number, *augment(x, y, number)))
        options = tf.data.Options()
        options.autotune.enabled = False  # it kept the end of the iteration waiting for seconds
        return numbered.prefetch(2).with_options(options)

    @functools.cached_property
    def _activations(self) -> Any:
        """The function of float32 images (n, height, width, channels) to their activations."""
        outputs_of, dtype = self.choice.outputs, self._dtype

        # Traced once, for batches of any size.
        @tf.function(input_signature=[tf.TensorSpec((None, *self._prepare.input_shape[1:]))])
        def activations(images: Any) -> list[Any]:
            outputs = outputs_of(tf.cast(self._prepare(images, training=False), tf.float32))
            if self._pool:
                outputs = [tf.reduce_mean(tf.cast(x, tf.float32), axis=(1, 2)) for x in outputs]
            return [tf.cast(output, dtype) for output in outputs]

        return activations

    def _kept_shape(self, shape: Any) -> tuple[int, ...]:
        return (shape[-1],) if self._pool else tuple(shape[1:])


def prefetch(items: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield what an iterator gives, which works on the next item meanwhile, in a thread."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item


def exact_extractor(cut: ModelSplit, *, classes: int, limit: int) -> FeatureExtractor:
    """Return what computes activations with the stock network, in float32 and not compiled.

    The arguments are those of `Extractor`.
    """
    return FeatureExtractor(
        cut, lambda: cut.stock, wanted="stock", sample=None, classes=classes, limit=limit
    )


def feature_batches(
    features: Features, indices: tf.data.Dataset, finish: Callable[[Any, Any], Any]
) -> tf.data.Dataset:
    """Return batches of activations, float32, and labels.

    Args:
        features: the activations.
        indices: (epoch, indices of images); an epoch takes one view of every image.
        finish: makes of the labels what the model's output needs.
    """
    read = _reading_memory(features) if features.is_held else _reading_files(features)

    def batch(epoch: Any, numbers: Any) -> Any:
        *activations, labels = read(epoch, numbers)
        for tensor, array in zip(activations, features.activations, strict=True):
            tensor.set_shape((None, *array.shape[1:]))
        labels.set_shape((None, features.labels.shape[-1]))
        return finish(activations[0] if len(activations) == 1 else tuple(activations), labels)

    return indices.map(batch, num_parallel_calls=2, deterministic=True).prefetch(2)


def _reading_memory(features: Features) -> Callable[[Any, Any], list[Any]]:
    """Return what reads activations and labels from tensors, without a step into Python."""
    with tf.device("CPU:0"):
        arrays = [tf.constant(array) for array in features.activations]
        rows, labels = tf.constant(features.rows), tf.constant(features.labels)

    def read(epoch: Any, numbers: Any) -> list[Any]:
        view = epoch % features.views
        chosen = tf.gather(tf.gather(rows, view, axis=1), numbers)
        activations = [tf.cast(tf.gather(array, chosen), tf.float32) for array in arrays]
        return [*activations, tf.gather(tf.gather(labels, view, axis=1), numbers)]

    return read


def _reading_files(features: Features) -> Callable[[Any, Any], list[Any]]:
    """Return what reads activations from where they are kept, and labels."""

    def of(epoch: int, numbers: np.ndarray) -> list[np.ndarray]:
        view = int(epoch) % features.views
        return [*features.of(numbers, view), features.labels[numbers, view]]

    types = [tf.float32] * (len(features.activations) + 1)
    return lambda epoch, numbers: tf.numpy_function(of, [epoch, numbers], types, stateful=False)
