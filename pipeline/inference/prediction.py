"""What a classifier says of images: read in parallel, batch by batch, in constant memory."""

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
from pipeline.inference.classifier import BATCH, Classifier

_BATCHES_AHEAD = 2

Item = TypeVar("Item")


@dataclass(frozen=True)
class Prediction(Generic[Item]):
    """What a classifier says of one image.

    Attributes:
        item: what the image was read from.
        probabilities: float64 (classes,), None where it could not be read.
        error: why it could not, empty where it could.
    """

    item: Item
    probabilities: np.ndarray | None
    error: str

    def ranked(self, class_names: Sequence[str], top: int) -> list[tuple[str, float]]:
        """Return the most probable classes with their probabilities, the first one first."""
        if self.probabilities is None:
            return []
        order = (-self.probabilities).argsort(kind="stable")[:top]
        return [(class_names[place], float(self.probabilities[place])) for place in order]


def predict(
    classifier: Classifier, items: Sequence[Item], read: Callable[[Item], np.ndarray]
) -> Iterator[Prediction[Item]]:
    """Yield what a classifier says of each item, in their order.

    The next batches are read while the model looks at one.

    Args:
        classifier: the model.
        items: what images are read from, such as paths.
        read: returns the pixels of an item as the model takes them, or raises BadImageError; it is
            called in several threads. `classifier.interface.read` takes paths.
    """
    # A last batch of another size would have the model traced again: it is filled up.
    shape = (min(BATCH, len(items)), *classifier.interface.image_shape)
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="read") as threads:
        for batch in _read_ahead(iter(items), read, shape[0], threads):
            images, errors = zip(*(_result_of(image) for _, image in batch), strict=True)
            kind = np.result_type(*{image.dtype for image in images if image is not None}, np.uint8)
            pixels = np.zeros(shape, kind)  # four times smaller where all of them come from files
            for into, image in zip(pixels, images, strict=False):
                into[:] = 0 if image is None else image
            found = classifier.probabilities(pixels)
            for (item, _), error, row in zip(batch, errors, found, strict=False):
                yield Prediction(item, None if error else row, error)


def _read_ahead(
    items: Iterator[Item],
    read: Callable[[Item], np.ndarray],
    size: int,
    threads: ThreadPoolExecutor,
) -> Iterator[list[tuple[Item, Future[np.ndarray]]]]:
    ahead: deque[list[tuple[Item, Future[np.ndarray]]]] = deque()
    while batch := [(item, threads.submit(read, item)) for item in islice(items, size)]:
        ahead.append(batch)
        if len(ahead) > _BATCHES_AHEAD:
            yield ahead.popleft()
    yield from ahead


def _result_of(image: Future[np.ndarray]) -> tuple[np.ndarray | None, str]:
    """Wait for an image; return None, and why, where it could not be read."""
    try:
        return image.result(), ""
    except BadImageError as error:
        return None, str(error)
