"""The views of images whose features are computed, one batch after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.data.augmentation import augmenter
from pipeline.data.batches import batches_at, prefetched
from pipeline.data.splits import Images
from pipeline.features.flips import are_flips, flip_drawer, flipped
from pipeline.features.known_views import ViewTable
from pipeline.features.view_labels import LabelBatch, to_sparse
from pipeline.tasks.label_encoding import LabelEncoding

BATCH_SIZE = 32


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


def processing_order(images: int, views: AugmentedViews) -> np.ndarray:
    """Return the indices of images in the order in which their views are computed, int64 (n,)."""
    # MixUp and the like mix neighbours, which must not all be of one class.
    if views.layers:
        return np.random.default_rng(views.seed).permutation(images)
    return np.arange(images)


@dataclass(frozen=True)
class ViewStream:
    """Views of images: all views of a batch of them, then those of the next.

    Attributes:
        images: the images.
        labels: of them, as `Split.labels` has them.
        order: int (n,), the order in which they are processed.
        views: how they are augmented.
        encoding: of the labels.
        first_batch: the number of the first batch, which the augmentation depends on.
    """

    images: Images
    labels: np.ndarray
    order: np.ndarray
    views: AugmentedViews
    encoding: LabelEncoding
    first_batch: int = 0

    def new_views(self, table: ViewTable, labels: list[LabelBatch]) -> Iterator[np.ndarray]:
        """Yield batches of the views to compute, float32 (n, height, width, channels).

        While one is used, the next is prepared.

        Args:
            table: is filled with all views.
            labels: is filled with the labels of each batch, for `join_batches`.
        """
        return _prefetch(self._new_views(table, labels))

    def _new_views(self, table: ViewTable, labels: list[LabelBatch]) -> Iterator[np.ndarray]:
        new: list[np.ndarray] = []
        only_flips = are_flips(self.views.layers)
        shown: dict[tuple[int, int], int] = {}  # in which view an image was flipped how
        for number, images, targets, flips in self._view_batches():
            batch, view = divmod(int(number), self.views.count)
            start = (batch - self.first_batch) * BATCH_SIZE
            indices = self.order[start : start + BATCH_SIZE]
            labels.append((indices, view, *to_sparse(targets.numpy())))
            if view == 0:
                table.forget_views()
                shown.clear()
            rows = zip(indices.tolist(), images.numpy(), flips.numpy().tolist(), strict=True)
            for index, image, flip in rows:
                if only_flips and (first := shown.setdefault((index, flip), view)) != view:
                    table.add_repeated(index, view, first)
                    continue
                pixels = flipped(image, flip) if only_flips else np.asarray(image, np.float32)
                if table.add(pixels, index, view):
                    new.append(pixels)
            while len(new) >= BATCH_SIZE:
                yield np.stack(new[:BATCH_SIZE])
                del new[:BATCH_SIZE]
        if new:
            yield np.stack(new)

    @tf.autograph.experimental.do_not_convert  # it would rewrite the functions for half a second
    def _view_batches(self) -> tf.data.Dataset:
        """Return (number, images, labels, flips): all views of the first batch, then of the next.

        If there are only flips, the images are those before them.
        """
        indices = tf.data.Dataset.from_tensor_slices(self.order).batch(BATCH_SIZE)
        batches = batches_at(indices, self.images, self.labels)
        views, count = self.views, self.views.count
        numbered = batches.enumerate(self.first_batch).flat_map(
            lambda i, batch: tf.data.Dataset.range(i * count, (i + 1) * count).map(
                lambda number: (number, *batch)
            )
        )
        layers, dense, none = views.layers, self.encoding.dense, tf.zeros(BATCH_SIZE, tf.int32)
        if are_flips(layers):
            draw = flip_drawer(layers, seed=views.seed)
            return prefetched(numbered.map(lambda i, x, y: (i, x, *draw(x, dense(y), i))))
        if layers:
            augment = augmenter(layers, seed=views.seed)
            numbered = numbered.map(lambda i, x, y: (i, *augment(x, dense(y), i)))
        return prefetched(numbered.map(lambda i, x, y: (i, x, y, none[: tf.shape(x)[0]])))


def _prefetch(items: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the items of an iterator while a thread prepares the next one."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, items, None)
        while (item := following.result()) is not None:
            following = thread.submit(next, items, None)
            yield item
