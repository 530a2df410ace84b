"""Send each view of each image through the frozen prefix once, and keep what comes out."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.data.augmentation import augmenter
from pipeline.data.batches import batches_at
from pipeline.errors import PipelineError
from pipeline.features import kept
from pipeline.features.compiling import inputs_of
from pipeline.features.cutting import Cut
from pipeline.features.precision import KEPT_AS, Choice

if TYPE_CHECKING:
    from pipeline.data.splits import Split

BATCH = 32
_FORMAT = 1  # of what is kept; another number makes everything be computed anew


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


@dataclass(frozen=True)
class Features:
    """Activations of every view of every image of a split.

    Attributes:
        activations: for each tensor at the cut an array (images, views, …), memory-mapped.
        labels: float32 (images, views, classes).
        images_per_second: how fast they were computed; 0 if they were there already.
    """

    activations: list[np.ndarray]
    labels: np.ndarray
    images_per_second: float

    @property
    def views(self) -> int:
        """The number of views of each image."""
        return int(self.labels.shape[1])

    def __len__(self) -> int:
        return len(self.labels)


class Extractor:
    """Computes activations with a compiled prefix, and knows what determines them."""

    def __init__(self, cut: Cut, choice: Choice, *, classes: int, limit: int) -> None:
        self.choice = choice
        self._classes = classes
        self._limit = limit
        self._prepare = cut.prepare
        self._pool = cut.pool
        self._dtype = np.dtype(KEPT_AS[choice.precision])
        self._shapes = [self._kept_shape(tensor.shape) for tensor in cut.prefix.outputs]
        self._determined_by = {
            "format": _FORMAT,
            "versions": [keras.__version__, tf.__version__],
            "precision": choice.precision,
            "place": cut.place,
            "weights": _digest(cut.prefix),
            "input": [*cut.prepare.input_shape[1:]],
            "preparation": [type(operation).__name__ for operation in cut.prepare.operations],
        }

    def bytes_for(self, images: int, views: int) -> int:
        """Return the size of the activations of so many images."""
        one = sum(int(np.prod(shape)) for shape in self._shapes) * self._dtype.itemsize
        return images * views * (one + self._classes * 4)

    def features(self, split: Split, views: Views, *, name: str) -> Features:
        """Return the activations of a split, computed or kept from an earlier run.

        Raises:
            PipelineError: if they do not fit on the disk.
        """
        needed, free = self.bytes_for(len(split), views.count), kept.free_bytes()
        key = self._key(split, views)
        if needed > free and not kept.has(key):
            raise PipelineError(
                f"The features of {len(split):,} images in {views.count} views take "
                f"{needed / 2**30:.1f} GiB, and {kept.folder()} has {free / 2**30:.1f} GiB left. "
                "Lower training.views, free some space (pipeline cache --clear), or name another "
                "folder in PIPELINE_CACHE."
            )
        started = time.perf_counter()
        arrays, was_there = kept.get(
            key,
            lambda folder: self._compute(split, views, folder),
            label=f"{name}, {len(split):,} images, {views.count} views, {self.choice.precision}",
            limit=self._limit,
        )
        seconds = time.perf_counter() - started
        return Features(
            activations=[arrays[f"activations_{i}"] for i in range(len(self._shapes))],
            labels=arrays["labels"],
            images_per_second=0.0 if was_there else len(split) * views.count / seconds,
        )

    def has(self, split: Split, views: Views) -> bool:
        """Return whether the activations of a split are kept from an earlier run."""
        return kept.has(self._key(split, views))

    def _key(self, split: Split, views: Views) -> str:
        return kept.key_of(
            {
                **self._determined_by,
                "images": split.digest,
                "views": views.count,
                "augmentation": views.settings,
                "seed": views.seed if views.layers else None,
            }
        )

    def _compute(self, split: Split, views: Views, folder: Path) -> None:
        def new(name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
            return np.lib.format.open_memmap(
                folder / f"{name}.npy", "w+", dtype, (len(split), views.count, *shape)
            )

        arrays = [new(f"activations_{i}", s, self._dtype) for i, s in enumerate(self._shapes)]
        labels = new("labels", (self._classes,), np.float32)
        activations = tf.function(self._activations, reduce_retracing=True)
        # Images that are mixed with their neighbours must not have neighbours of one class alone.
        order = np.arange(len(split))
        if views.layers:
            order = np.random.default_rng(views.seed).permutation(len(split))
        for number, images, targets in self._batches(split, views, order):
            batch, view = divmod(int(number), views.count)
            rows = order[batch * BATCH : (batch + 1) * BATCH]
            labels[rows, view] = targets
            for array, values in zip(arrays, activations(images), strict=True):
                array[rows, view] = values
        for array in (*arrays, labels):
            array.flush()  # type: ignore[attr-defined]

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
        return numbered.prefetch(2)

    def _activations(self, images: Any) -> list[Any]:
        prepared = self._prepare(images, training=False)
        outputs = self.choice.network(prepared, training=False)
        outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
        if self._pool:
            outputs = [tf.reduce_mean(tf.cast(x, tf.float32), axis=(1, 2)) for x in outputs]
        return [tf.cast(output, self._dtype) for output in outputs]

    def _kept_shape(self, shape: Any) -> tuple[int, ...]:
        return (shape[-1],) if self._pool else tuple(shape[1:])


def batches_of(
    features: Features, indices: tf.data.Dataset, finish: Callable[[Any, Any], Any]
) -> tf.data.Dataset:
    """Return batches of activations, float32, and labels.

    Args:
        features: the activations.
        indices: (epoch, indices of images); an epoch takes one view of every image.
        finish: makes of the labels what the model's output needs.
    """

    def read(epoch: int, numbers: np.ndarray) -> list[np.ndarray]:
        view = int(epoch) % features.views
        arrays = [array[numbers, view].astype(np.float32) for array in features.activations]
        return [*arrays, features.labels[numbers, view]]

    def batch(epoch: Any, numbers: Any) -> Any:
        types = [tf.float32] * (len(features.activations) + 1)
        *activations, labels = tf.numpy_function(read, [epoch, numbers], types, stateful=False)
        for tensor, array in zip(activations, features.activations, strict=True):
            tensor.set_shape((None, *array.shape[2:]))
        labels.set_shape((None, features.labels.shape[-1]))
        return finish(activations[0] if len(activations) == 1 else tuple(activations), labels)

    return indices.map(batch, num_parallel_calls=2, deterministic=True).prefetch(2)


def _digest(network: keras.Model) -> str:
    """Return a digest of what a network computes: its operations, their settings and weights.

    Names are left out: they count up within a process.
    """
    digest = hashlib.sha256()
    places = {operation.name: i for i, operation in enumerate(network.operations)}
    for operation in network.operations:
        settings = operation.get_config() if isinstance(operation, keras.Layer) else {}
        sources = [places.get(x._keras_history.operation.name) for x in inputs_of(operation)]
        described = [type(operation).__name__, _without_names(settings), sources]
        digest.update(json.dumps(described, sort_keys=True, default=str).encode())
        for weight in getattr(operation, "weights", ()):
            digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def _without_names(value: Any) -> Any:
    if isinstance(value, dict):
        dropped = ("name", "shared_object_id", "input_layers", "output_layers", "inbound_nodes")
        return {key: _without_names(v) for key, v in value.items() if key not in dropped}
    if isinstance(value, list | tuple):
        return [_without_names(item) for item in value]
    return value
