"""Classify images in batches: read in parallel, predicted in constant memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

import numpy as np

from pipeline.data.image_decoding import BadImageError
from pipeline.inference.classifier import BATCH_SIZE, Classifier

_PREFETCHED_BATCHES = 2

Item = TypeVar("Item")


@dataclass(frozen=True)
class Prediction(Generic[Item]):
    """The prediction for one image.

    Attributes:
        item: the image, such as its path.
        probabilities: float64 (classes,); None where the image could not be read.
        error: why it could not be read, otherwise empty.
    """

    item: Item
    probabilities: np.ndarray | None
    error: str

    def top_classes(self, class_names: Sequence[str], k: int) -> list[tuple[str, float]]:
        """Return the k most probable classes with their probabilities, in descending order."""
        if self.probabilities is None:
            return []
        order = (-self.probabilities).argsort(kind="stable")[:k]
        return [(class_names[label], float(self.probabilities[label])) for label in order]


def predict(
    classifier: Classifier, items: Sequence[Item], read: Callable[[Item], np.ndarray]
) -> Iterator[Prediction[Item]]:
    """Yield the prediction for each item, in order.

    The next batches are read while the model predicts one.

    Args:
        classifier: the model.
        items: the images, such as paths.
        read: returns the pixels of an item as the model takes them, or raises BadImageError. It is
            called in several threads. For paths it is `classifier.interface.read`.

    Example:
        for prediction in predict(classifier, paths, classifier.interface.read):
            print(prediction.item, prediction.top_classes(classifier.interface.class_names, 3))
    """
    # The last batch is padded, because a smaller one would trace the model again.
    shape = (min(BATCH_SIZE, len(items)), *classifier.interface.image_shape)
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="read") as threads:
        for batch in _prefetched(iter(items), read, shape[0], threads):
            images, errors = zip(*(_result_of(image) for _, image in batch), strict=True)
            dtypes = {image.dtype for image in images if image is not None}
            pixels = np.zeros(shape, np.result_type(*dtypes, np.uint8))  # uint8 for image files
            for row, image in zip(pixels, images, strict=False):
                row[:] = 0 if image is None else image
            probabilities = classifier.probabilities(pixels)
            for (item, _), error, row in zip(batch, errors, probabilities, strict=False):
                yield Prediction(item, None if error else row, error)


def _prefetched(
    items: Iterator[Item],
    read: Callable[[Item], np.ndarray],
    size: int,
    threads: ThreadPoolExecutor,
) -> Iterator[list[tuple[Item, Future[np.ndarray]]]]:
    pending: deque[list[tuple[Item, Future[np.ndarray]]]] = deque()
    while batch := [(item, threads.submit(read, item)) for item in islice(items, size)]:
        pending.append(batch)
        if len(pending) > _PREFETCHED_BATCHES:
            yield pending.popleft()
    yield from pending


def _result_of(image: Future[np.ndarray]) -> tuple[np.ndarray | None, str]:
    """Wait for an image and return it, or None and the reason why it could not be read."""
    try:
        return image.result(), ""
    except BadImageError as error:
        return None, str(error)
