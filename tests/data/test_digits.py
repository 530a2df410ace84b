"""The digits of scikit-learn."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pipeline.data.digits import DigitsConfig
from pipeline.data.splits import Splits


def load(**keys: Any) -> Splits:
    return DigitsConfig(source="digits", **keys).load()


def test_there_are_1797_of_ten_classes() -> None:
    splits = load()
    assert sum(len(split) for split in splits.named().values()) == 1797
    assert splits.class_names == tuple("0123456789")
    assert splits.class_names == DigitsConfig(source="digits").class_names()


def test_no_digit_is_in_two_splits() -> None:
    names = Counter(name for split in load().named().values() for name in split.names)
    assert names == dict.fromkeys(map(str, range(1797)), 1)


def test_every_split_has_its_fraction_of_every_class() -> None:
    splits = load(validation=0.2, test=0.1).named()
    counts = {name: np.bincount(split.labels) for name, split in splits.items()}
    everything = sum(counts.values())
    for name, share in (("train", 0.7), ("val", 0.2), ("test", 0.1)):
        np.testing.assert_allclose(counts[name], everything * share, atol=1)


def test_the_split_seed_determines_the_splits() -> None:
    first, again, other = (load(split_seed=seed) for seed in (0, 0, 1))
    assert first.named()["val"].names == again.named()["val"].names
    assert first.named()["val"].names != other.named()["val"].names
    assert first.digest == again.digest
    assert first.digest != other.digest


def test_pixels_are_uint8_from_0_to_255() -> None:
    pixels = load().train.images.read(np.arange(1000))
    assert (pixels.dtype, pixels.min(), pixels.max()) == (np.uint8, 0, 255)


def test_digits_keep_their_pixels_and_labels() -> None:
    source = load_digits()
    for split in load().named().values():
        numbers = np.array(split.names, int)
        pixels = split.images.read(np.arange(len(split)))[..., 0]
        np.testing.assert_allclose(pixels, source.images[numbers] * 255 / 16, atol=0.5)
        np.testing.assert_array_equal(split.labels, source.target[numbers])


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (12, 20)])
def test_digits_are_resized_to_the_image_size(size: tuple[int, int]) -> None:
    splits = load(image_size=size)
    assert splits.input_shape == (*size, 1)
    assert splits.named()["val"].images.read(np.arange(3)).shape == (3, *size, 1)


def test_the_test_split_is_optional() -> None:
    assert load(test=0).test is None
