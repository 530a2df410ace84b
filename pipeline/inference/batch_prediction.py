"""Predict images, or rows of numbers, in batches: read in parallel, in constant memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

import numpy as np

from pipeline.errors import BadInputError
from pipeline.inference.image_classifier import BATCH_SIZE, BatchOutputs, ImageClassifier
from pipeline.tasks.class_answers import ranked_classes

_PREFETCHED_BATCHES = 2

Item = TypeVar("Item")


@dataclass(frozen=True)
class Prediction(Generic[Item]):
    """The prediction for one image.

    Attributes:
        item: the image, such as its path.
        outputs: as `Task.outputs` has them, such as float64 (classes,); None where the
            image could not be read.
        error: why it could not be read, otherwise empty.
        distance: to the training images; None where the model measures none.
        is_unknown: whether the distance is so large that the image is probably of none of the
            classes; None where the model measures none.
    """

    item: Item
    outputs: np.ndarray | None
    error: str
    distance: float | None = None
    is_unknown: bool | None = None

    def top_classes(self, class_names: Sequence[str], k: int) -> list[tuple[str, float]]:
        """Return the k most probable classes with their probabilities, in descending order."""
        if self.outputs is None:
            return []
        return list(ranked_classes(self.outputs, class_names, top=k))

    def prediction_set(self, class_names: Sequence[str], threshold: float) -> tuple[str, ...]:
        """Return the classes of a prediction set, the most probable first; it may be empty.

        Args:
            class_names: in the order of the probabilities.
            threshold: of a confidence level, as `ModelInterface.set_threshold` returns it.
        """
        ranked = self.top_classes(class_names, len(class_names))
        return tuple(name for name, probability in ranked if probability >= threshold)


def predict(
    classifier: ImageClassifier, items: Iterable[Item], read: Callable[[Item], np.ndarray]
) -> Iterator[Prediction[Item]]:
    """Yield the prediction for each item, in order.

    The next batches are read while the model predicts one. Memory does not grow with the items.

    Args:
        classifier: the model.
        items: the images, such as paths, or rows of numbers.
        read: returns the pixels or the numbers of an item as the model takes them, or raises
            BadInputError. It is called in several threads. For paths of images it is
            `classifier.interface.read`.

    Example:
        for prediction in predict(classifier, paths, classifier.interface.read):
            print(prediction.item, prediction.top_classes(classifier.interface.class_names, 3))
    """
    pending: deque[list[tuple[Item, str]]] = deque()

    def batches(threads: ThreadPoolExecutor) -> Iterator[np.ndarray]:
        for batch in _prefetched(iter(items), read, threads):
            images, errors = zip(*(_result_of(image) for _, image in batch), strict=True)
            pending.append([(item, error) for (item, _), error in zip(batch, errors, strict=True)])
            dtypes = {image.dtype for image in images if image is not None}
            dtype = np.result_type(*dtypes, np.uint8)  # uint8 for image files
            inputs = np.zeros((len(batch), *classifier.interface.input_shape), dtype)
            for row, image in zip(inputs, images, strict=True):
                row[:] = 0 if image is None else image
            yield inputs

    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="read") as threads:
        for batch in classifier.run(batches(threads)):
            for index, (item, error) in enumerate(pending.popleft()):
                if error:
                    yield Prediction(item, None, error)
                else:
                    yield _prediction(classifier, item, batch, index)


def _prediction(
    classifier: ImageClassifier, item: Item, batch: BatchOutputs, index: int
) -> Prediction[Item]:
    interface, outputs = classifier.interface, batch.outputs[index]
    distance = is_unknown = None
    if interface.distance is not None and batch.distances is not None:
        distance = float(batch.distances[index])
        is_unknown = distance > interface.distance.threshold
    return Prediction(item, outputs, "", distance, is_unknown)


def _prefetched(
    items: Iterator[Item],
    read: Callable[[Item], np.ndarray],
    threads: ThreadPoolExecutor,
) -> Iterator[list[tuple[Item, Future[np.ndarray]]]]:
    pending: deque[list[tuple[Item, Future[np.ndarray]]]] = deque()
    while batch := [(item, threads.submit(read, item)) for item in islice(items, BATCH_SIZE)]:
        pending.append(batch)
        if len(pending) > _PREFETCHED_BATCHES:
            yield pending.popleft()
    yield from pending


def _result_of(image: Future[np.ndarray]) -> tuple[np.ndarray | None, str]:
    """Wait for an image and return it, or None and the reason why it could not be read."""
    try:
        return image.result(), ""
    except BadInputError as error:
        return None, str(error)
