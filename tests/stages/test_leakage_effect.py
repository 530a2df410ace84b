"""How duplicates change an accuracy."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.data.splits import ArrayImages, DuplicateImage, Split, Splits
from pipeline.stages.leakage_effect import measure_leakage_effect

COUNT = 10
DIGESTS = np.zeros((COUNT, 32), np.uint8)


def splits_with(*groups: tuple[tuple[str, int], ...]) -> Splits:
    """Return splits of ten images each, with groups of copies at (split, index)."""
    images = ArrayImages(np.zeros((COUNT, 1, 1, 1), np.uint8))
    names = [str(i) for i in range(COUNT)]
    split = Split(images, np.zeros(COUNT, np.int64), names=names, image_digests=DIGESTS, digest="")
    duplicates = tuple(
        tuple(DuplicateImage(name, index, str(index), 0, "", 0) for name, index in group)
        for group in groups
    )
    return Splits(("ants", "bees"), split, split, split, (), duplicates)


def effect(splits: Splits, name: str, wrong: list[int]) -> dict[str, float]:
    is_correct = np.ones(COUNT, bool)
    is_correct[wrong] = False
    return measure_leakage_effect(splits, name, is_correct)


def test_accuracy_without_images_of_the_training_split(messages: list[str]) -> None:
    splits = splits_with((("train", 3), ("val", 0)), (("train", 4), ("val", 1), ("val", 2)))
    assert effect(splits, "val", wrong=[8, 9]) == {
        "val_duplicates": 3.0,
        "val_accuracy_without_duplicates": pytest.approx(5 / 7),
    }
    assert messages == [
        "WARNING: 3 of 10 val images are also in another split: val_accuracy is 0.8000, without "
        "them 0.7143."
    ]


def test_validation_images_are_duplicates_in_test_but_not_vice_versa(messages: list[str]) -> None:
    splits = splits_with((("val", 0), ("test", 5)))
    assert effect(splits, "val", wrong=[]) == {}
    assert messages == []
    assert effect(splits, "test", wrong=[5]) == {
        "test_duplicates": 1.0,
        "test_accuracy_without_duplicates": 1.0,
    }


@pytest.mark.parametrize("name", ["train", "val"])
def test_copies_within_a_split_have_no_effect(messages: list[str], name: str) -> None:
    assert effect(splits_with(((name, 0), (name, 1))), "val", wrong=[0]) == {}
    assert messages == []


def test_no_accuracy_if_all_images_are_duplicates(messages: list[str]) -> None:
    splits = splits_with(*((("train", i), ("val", i)) for i in range(COUNT)))
    assert effect(splits, "val", wrong=[]) == {"val_duplicates": 10.0}
    assert messages == ["WARNING: 10 of 10 val images are also in another split."]
