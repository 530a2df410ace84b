"""Batches of splits: every image once per epoch, reproducible by seed and epoch."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import TypeAdapter

from pipeline.data import augmentation, image_folder, image_loading
from pipeline.data.augmentation import Augmentation
from pipeline.data.batches import (
    evaluation_batches,
    step_chunks,
    steps_per_epoch,
    training_batches,
)
from pipeline.data.digits import DigitsConfig
from pipeline.data.splits import ArrayImages, Split
from pipeline.models.layers import OutputLayer
from pipeline.tasks.classification import label_encoding
from pipeline.tasks.label_encoding import LabelEncoding

COUNT = 50
TEN, TWO = (label_encoding(count, OutputLayer(count, "softmax")) for count in (10, 2))
SECOND_OF_TWO = label_encoding(2, OutputLayer(1, "sigmoid"))
CHANGES: tuple[dict[str, Any], ...] = (
    {"random_rotation": {"factor": 0.1}},
    {"mix_up": {}},
    {"random_crop": {"height": 6, "width": 6}},
)


@pytest.fixture(scope="module")
def split() -> Split:
    """Fifty digits."""
    everything = DigitsConfig(source="digits").load().train
    return Split(
        ArrayImages(everything.images.read(np.arange(COUNT))),
        everything.labels[:COUNT],
        everything.names[:COUNT],
        everything.image_digests[:COUNT],
        digest="fifty",
    )


@pytest.fixture(scope="module")
def zeros_and_ones(split: Split) -> Split:
    everything = DigitsConfig(source="digits").load().train
    numbers = np.flatnonzero(everything.labels < 2)[:COUNT]
    return Split(
        ArrayImages(everything.images.read(numbers)),
        everything.labels[numbers],
        [everything.names[number] for number in numbers],
        everything.image_digests[numbers],
        digest="zeros and ones",
    )


def layers() -> list[Any]:
    sections = TypeAdapter(Augmentation).validate_python(CHANGES)
    return augmentation.build_augmentation(sections, image_size=(8, 8))


def train(
    split: Split,
    *,
    epochs: int = 1,
    batch_size: int | Literal["all"] = 16,
    augmented: bool = False,
    **changes: Any,
) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    """Return the batches of each epoch."""
    arguments: dict[str, Any] = {"encoding": TEN, "seed": 1, "first_epoch": 0}
    arguments |= changes
    batches = training_batches(
        split,
        batch_size=batch_size,
        augmentation=layers() if augmented else [],
        epochs=epochs,
        **arguments,
    )
    iterator = batches.as_numpy_iterator()
    steps = steps_per_epoch(split, batch_size)
    by_epoch = [
        list(itertools.islice(iterator, steps)) for _ in range(arguments["first_epoch"], epochs)
    ]
    assert next(iterator, None) is None
    return by_epoch


def concatenate(batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    images, labels = zip(*batches, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def count_pairs(images: np.ndarray, labels: np.ndarray) -> Counter[tuple[bytes, int]]:
    """Count the pairs of an image and its label, whatever their order."""
    return Counter(
        (image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)
    )


def assert_same(
    one: list[tuple[np.ndarray, np.ndarray]], other: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    for (images, labels), (others, other_labels) in zip(one, other, strict=True):
        np.testing.assert_array_equal(images, others)
        np.testing.assert_array_equal(labels, other_labels)


@pytest.mark.parametrize("batch_size", [1, 16, 25, 50, 64, "all"])
def test_an_epoch_sees_every_image_once_with_its_label(
    split: Split, batch_size: int | Literal["all"]
) -> None:
    expected = count_pairs(split.images.read(np.arange(COUNT)), split.labels)
    for epoch in train(split, batch_size=batch_size, epochs=2):
        images, labels = concatenate(epoch)
        assert count_pairs(images, labels.argmax(1)) == expected


@pytest.mark.parametrize(
    ("batch_size", "sizes"),
    [(16, [16, 16, 16, 2]), (25, [25, 25]), (64, [50]), ("all", [50])],
)
def test_the_last_batch_may_be_smaller(
    split: Split, batch_size: int | Literal["all"], sizes: list[int]
) -> None:
    (epoch,) = train(split, batch_size=batch_size)
    assert [len(images) for images, _ in epoch] == sizes
    assert steps_per_epoch(split, batch_size) == len(sizes)


def test_the_training_images_are_shuffled(split: Split) -> None:
    images, _ = concatenate(train(split)[0])
    assert not np.array_equal(images, split.images.read(np.arange(COUNT)))


def test_another_epoch_has_another_order(split: Split) -> None:
    first, second = train(split, epochs=2)
    assert not np.array_equal(concatenate(first)[0], concatenate(second)[0])


def test_another_seed_has_another_order(split: Split) -> None:
    one, other = (concatenate(train(split, seed=seed)[0])[0] for seed in (1, 2))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("seed", [0, 2**31 - 1])
def test_the_smallest_and_the_largest_seed_work(split: Split, seed: int) -> None:
    (epoch,) = train(split, seed=seed, augmented=True)
    assert sum(len(images) for images, _ in epoch) == COUNT


@pytest.mark.parametrize("augmented", [False, True])
def test_an_epoch_is_reproduced_by_its_seed_and_number(split: Split, augmented: bool) -> None:
    for one, again in zip(
        train(split, epochs=2, augmented=augmented),
        train(split, epochs=2, augmented=augmented),
        strict=True,
    ):
        assert_same(one, again)


@pytest.mark.parametrize("augmented", [False, True])
def test_a_later_epoch_is_the_same_if_training_starts_with_it(
    split: Split, augmented: bool
) -> None:
    all_epochs = train(split, epochs=4, augmented=augmented)
    later = train(split, epochs=4, first_epoch=2, augmented=augmented)
    assert len(later) == 2
    for one, again in zip(all_epochs[2:], later, strict=True):
        assert_same(one, again)


def test_the_end_of_an_iteration_waits_for_no_tuning(split: Split) -> None:
    for batches in (
        training_batches(split, encoding=TEN, batch_size=8, augmentation=[], seed=1, epochs=1),
        evaluation_batches(split, encoding=TEN, batch_size=8),
        step_chunks(
            split.labels,
            batch_size=8,
            steps=2,
            seed=0,
            first_epoch=0,
            epochs=1,
            sampling="natural",
        ),
    ):
        assert batches.options().autotune.enabled is False


def test_a_dataset_can_be_iterated_twice(split: Split) -> None:
    batches = training_batches(
        split,
        encoding=TEN,
        batch_size=16,
        augmentation=layers(),
        seed=1,
        epochs=1,
    )
    assert_same(list(batches.as_numpy_iterator()), list(batches.as_numpy_iterator()))


def test_each_epoch_is_augmented_differently(zeros_and_ones: Split) -> None:
    first, second = train(zeros_and_ones, epochs=2, augmented=True)
    one, other = (
        count_pairs(*(concatenate(epoch)[0], np.zeros(COUNT))) for epoch in (first, second)
    )
    assert len(one & other) < COUNT / 10


def test_images_are_uint8_without_augmentation_and_float32_with_it(split: Split) -> None:
    for augmented, dtype in ((False, np.uint8), (True, np.float32)):
        images, labels = train(split, augmented=augmented)[0][0]
        assert (images.dtype, images.shape) == (dtype, (16, 8, 8, 1))
        assert (labels.dtype, labels.shape) == (np.float32, (16, 10))


def test_the_shapes_are_known_before_a_batch_is_read(split: Split) -> None:
    for batches in (
        evaluation_batches(split, encoding=TEN, batch_size=16),
        training_batches(
            split,
            encoding=TEN,
            batch_size=16,
            augmentation=layers(),
            seed=1,
            epochs=1,
        ),
    ):
        images, labels = batches.element_spec
        assert images.shape.as_list() == [None, 8, 8, 1]
        assert labels.shape.as_list() == [None, 10]


def test_softmax_targets_are_one_hot(split: Split) -> None:
    _, labels = concatenate(train(split)[0])
    assert set(labels.ravel()) == {0, 1}
    assert labels.sum(1).tolist() == [1] * COUNT


def test_sigmoid_targets_are_the_column_of_the_second_class(zeros_and_ones: Split) -> None:
    for epochs in (
        train(zeros_and_ones, encoding=SECOND_OF_TWO),
        train(zeros_and_ones, encoding=SECOND_OF_TWO, augmented=True),
    ):
        softmax = train(zeros_and_ones, encoding=TWO, augmented=epochs[0][0][0].dtype == np.float32)
        for (images, share), (others, labels) in zip(epochs[0], softmax[0], strict=True):
            np.testing.assert_array_equal(images, others)
            np.testing.assert_array_equal(share, labels[:, 1:])
            assert share.shape == (len(images), 1)


@pytest.mark.parametrize("batch_size", [1, 16, 50, 64])
def test_evaluation_keeps_the_order(split: Split, batch_size: int) -> None:
    batches = evaluation_batches(split, encoding=TEN, batch_size=batch_size)
    images, labels = concatenate(batches.as_numpy_iterator())
    np.testing.assert_array_equal(images, split.images.read(np.arange(COUNT)))
    np.testing.assert_array_equal(labels, np.eye(10)[split.labels])
    assert (images.dtype, labels.dtype) == (np.uint8, np.float32)


def test_evaluation_has_sigmoid_targets_too(zeros_and_ones: Split) -> None:
    batches = evaluation_batches(zeros_and_ones, encoding=SECOND_OF_TWO, batch_size=16)
    _, labels = concatenate(batches.as_numpy_iterator())
    np.testing.assert_array_equal(labels[:, 0], zeros_and_ones.labels)


def test_photographs_read_from_files_make_the_same_batches_as_those_in_memory(
    photographs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = image_folder.ImageFolderConfig(
        source="image_folder", path=str(photographs), image_size=(16, 16), batch_size=64
    )
    in_memory = keys.load()
    monkeypatch.setattr(image_loading, "MAX_BYTES_IN_MEMORY", 0)
    from_files = keys.load()
    for one, again in zip(
        train(in_memory.named()["val"], encoding=TWO, batch_size=64),
        train(from_files.named()["val"], encoding=TWO, batch_size=64),
        strict=True,
    ):
        assert_same(one, again)


def test_with_balanced_sampling_each_class_is_in_an_epoch_equally_often(split: Split) -> None:
    natural = np.bincount(split.labels, minlength=10)
    assert np.ptp(natural) > 1
    for epoch in train(split, epochs=2, sampling="balanced"):
        assert [len(images) for images, _ in epoch] == [16, 16, 16, 2]
        images, labels = concatenate(epoch)
        assert np.bincount(labels.argmax(axis=1), minlength=10).tolist() == [5] * 10
        known = count_pairs(split.images.read(np.arange(COUNT)), split.labels)
        assert count_pairs(images, labels.argmax(axis=1)).keys() <= known.keys()


def test_balanced_epochs_are_mixed_and_can_be_repeated(split: Split) -> None:
    whole = train(split, epochs=3, sampling="balanced", augmented=True)
    again = train(split, epochs=3, first_epoch=1, sampling="balanced", augmented=True)
    for one, other in zip(whole[1:], again, strict=True):
        assert_same(one, other)
    plain, later = train(split, epochs=2, sampling="balanced")
    labels = concatenate(plain)[1].argmax(axis=1)
    assert np.count_nonzero(np.diff(labels)) > COUNT / 2
    assert not np.array_equal(labels, concatenate(later)[1].argmax(axis=1))


@pytest.mark.parametrize("encoding", [TWO, SECOND_OF_TWO], ids=["softmax", "sigmoid"])
def test_an_image_has_the_weight_of_its_class(
    zeros_and_ones: Split, encoding: LabelEncoding
) -> None:
    weights = np.array([1.0, 3.0], np.float32)
    batches = training_batches(
        zeros_and_ones,
        encoding=encoding,
        batch_size=16,
        augmentation=[],
        seed=1,
        epochs=1,
        class_weights=weights,
    )
    for _, targets, image_weights in batches.as_numpy_iterator():
        labels = targets.argmax(axis=1) if encoding is TWO else targets[:, 0].astype(int)
        np.testing.assert_array_equal(image_weights, weights[labels])


def test_the_weight_of_a_mixed_label_is_the_mix_of_the_weights(split: Split) -> None:
    weights = np.arange(1, 11, dtype=np.float32)
    batches = training_batches(
        split,
        encoding=TEN,
        batch_size=16,
        augmentation=layers(),
        seed=1,
        epochs=1,
        class_weights=weights,
    )
    mixed = 0
    for _, labels, image_weights in batches.as_numpy_iterator():
        mixed += int(np.sum(np.count_nonzero(labels > 0.01, axis=1) == 2))
        np.testing.assert_allclose(image_weights, labels @ weights, rtol=1e-5)
    assert mixed > 5
