"""Splits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pipeline.data.splits import ArrayImages, splits_from_arrays, stratified_split
from pipeline.errors import DataError

CLASSES = tuple("0123456789")


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return load_digits().target


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return load_digits().images[..., np.newaxis].astype(np.uint8)


def test_every_image_is_in_one_part(labels: np.ndarray) -> None:
    parts = stratified_split(labels, fractions=(0.2, 0.1), seed=0)
    assert np.sort(np.concatenate(parts)).tolist() == list(range(len(labels)))


def test_every_part_has_its_fraction_of_every_class(labels: np.ndarray) -> None:
    counts = np.bincount(labels)
    parts = stratified_split(labels, fractions=(0.2, 0.1), seed=0)
    for part, share in zip(parts, (0.7, 0.2, 0.1), strict=True):
        np.testing.assert_allclose(np.bincount(labels[part]), counts * share, atol=1)


def test_parts_are_sorted(labels: np.ndarray) -> None:
    for part in stratified_split(labels, fractions=(0.2, 0.1), seed=0):
        assert (np.diff(part) > 0).all()


def test_the_seed_determines_the_parts(labels: np.ndarray) -> None:
    first, again, other = (
        stratified_split(labels, fractions=(0.2,), seed=seed)[1] for seed in (0, 0, 1)
    )
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_a_fraction_of_zero_gives_an_empty_part(labels: np.ndarray) -> None:
    assert [len(part) for part in stratified_split(labels, fractions=(0.2, 0.0), seed=0)] == [
        1438,
        359,
        0,
    ]


@pytest.mark.parametrize(
    ("shares", "counts"), [((0.001,), "1,797, 0"), ((0.9, 0.5), "0, 1,618, 179")]
)
def test_fractions_that_leave_a_split_empty_are_an_error(
    labels: np.ndarray, shares: tuple[float, ...], counts: str
) -> None:
    with pytest.raises(DataError) as caught:
        stratified_split(labels, fractions=shares, seed=0)
    assert str(caught.value) == (
        f"data.validation: the 1,797 examples would be split into {counts}. "
        "Choose fractions that leave no split empty."
    )


def splits_of(images: np.ndarray, labels: np.ndarray, **changes: Any) -> Any:
    arguments: dict[str, Any] = {
        "image_size": (8, 8),
        "class_names": CLASSES,
        "parts": [np.arange(100), np.arange(100, 150), np.arange(150, 200)],
    }
    return splits_from_arrays(images, labels, **{**arguments, **changes})


def test_a_split_has_the_images_and_labels_of_its_part(
    images: np.ndarray, labels: np.ndarray
) -> None:
    split = splits_of(images, labels).named()["val"]
    np.testing.assert_array_equal(split.images.read(np.arange(50)), images[100:150])
    np.testing.assert_array_equal(split.labels, labels[100:150])
    assert (len(split), split.labels.dtype, split.names[0]) == (50, np.int64, "100")


def test_a_test_split_may_be_separate(images: np.ndarray, labels: np.ndarray) -> None:
    parts = [np.arange(100), np.arange(100, 150)]
    splits = splits_of(images, labels, parts=parts, test=(images[-30:], labels[-30:]))
    np.testing.assert_array_equal(splits.test.images.read(np.arange(30)), images[-30:])
    np.testing.assert_array_equal(splits.test.labels, labels[-30:])


def test_splits_are_named_like_their_metrics(images: np.ndarray, labels: np.ndarray) -> None:
    named = splits_of(images, labels).named()
    assert {name: len(split) for name, split in named.items()} == {
        "train": 100,
        "val": 50,
        "test": 50,
    }


def test_an_empty_test_split_is_none(images: np.ndarray, labels: np.ndarray) -> None:
    parts = [np.arange(100), np.arange(100, 150), np.arange(0)]
    splits = splits_of(images, labels, parts=parts)
    assert splits.test is None
    assert list(splits.named()) == ["train", "val"]


def test_images_know_their_shape(images: np.ndarray, labels: np.ndarray) -> None:
    assert splits_of(images, labels).input_shape == (8, 8, 1)


def test_images_are_read_in_the_order_of_the_indices(images: np.ndarray) -> None:
    numbers = np.array([5, 3, 3])
    np.testing.assert_array_equal(ArrayImages(images).read(numbers), images[numbers])


def test_the_digest_is_the_same_for_the_same_data(images: np.ndarray, labels: np.ndarray) -> None:
    digest = splits_of(images, labels).digest
    assert digest == splits_of(images.copy(), labels.astype(np.int8)).digest
    assert len(bytes.fromhex(digest)) == 32


def test_the_digest_of_an_image_does_not_depend_on_the_image_size(
    images: np.ndarray, labels: np.ndarray
) -> None:
    small, large = (splits_of(images, labels, image_size=size).train for size in ((8, 8), (9, 9)))
    assert small.digest != large.digest
    np.testing.assert_array_equal(small.image_digests, large.image_digests)
    assert len(set(small.hex_digests())) == len(small) == 100


@pytest.mark.parametrize("change", ["pixel", "label", "class name", "split"])
def test_the_digest_changes_with_the_data(
    images: np.ndarray, labels: np.ndarray, change: str
) -> None:
    before = splits_of(images, labels).digest
    images, labels = images.copy(), labels.copy()
    changes: dict[str, Any] = {}
    if change == "pixel":
        images[120, 4, 4] += 1
    elif change == "label":
        labels[120] = (labels[120] + 1) % 10
    elif change == "class name":
        changes["class_names"] = ("zero", *CLASSES[1:])
    else:
        changes["parts"] = [np.arange(101), np.arange(101, 150), np.arange(150, 200)]
    assert splits_of(images, labels, **changes).digest != before
