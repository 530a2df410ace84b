"""Folds of cross-validation, on real digits and photographs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.folds import draw_folds, pooled_images, splits_of_fold
from pipeline.data.splits import Split, Splits
from pipeline.errors import DataError
from pipeline.recipe.loader import load_recipe


@pytest.fixture
def digits(in_empty_folder: Path) -> Splits:
    Path("recipe.yaml").write_text("data: {source: digits}\nmodel: {architecture: mlp}\n")
    return load_recipe(Path("recipe.yaml")).recipe.data.load()


def grouped(splits: Splits, size: int) -> Splits:
    """Return splits in which `size` images in a row belong together, also across splits."""
    assert splits.validation is not None
    numbers = np.arange(len(splits.train) + len(splits.validation)) // size

    def with_groups(split: Split, groups: np.ndarray) -> Split:
        return dataclasses.replace(split, groups=groups)

    return dataclasses.replace(
        splits,
        train=with_groups(splits.train, numbers[: len(splits.train)]),
        validation=with_groups(splits.validation, numbers[len(splits.train) :]),
    )


def test_every_image_judges_once_and_chooses_once_in_each_repeat(digits: Splits) -> None:
    folds = draw_folds(digits, count=5, repeats=2, seed=0)
    assert [fold.number for fold in folds] == list(range(1, 11))
    count = len(pooled_images(digits))
    for repeat in (folds[:5], folds[5:]):
        for role in ("test", "validation"):
            drawn = np.sort(np.concatenate([getattr(fold, role) for fold in repeat]))
            assert drawn.tolist() == list(range(count))
    for fold in folds:
        assert fold.validation is not None
        together = np.sort(np.concatenate([fold.train, fold.validation, fold.test]))
        assert together.tolist() == list(range(count))
    assert not np.array_equal(folds[0].test, folds[5].test)
    again = draw_folds(digits, count=5, repeats=2, seed=0)
    assert all(np.array_equal(a.test, b.test) for a, b in zip(folds, again, strict=True))


def test_folds_are_stratified(digits: Splits) -> None:
    labels = pooled_images(digits).labels
    share = np.bincount(labels) / len(labels)
    for fold in draw_folds(digits, count=5, repeats=1, seed=0):
        assert np.bincount(labels[fold.test]) / len(fold.test) == pytest.approx(share, abs=0.01)


def test_without_validation_images_all_others_are_trained_on(digits: Splits) -> None:
    digits = dataclasses.replace(digits, validation=None)
    for fold in draw_folds(digits, count=4, repeats=1, seed=0):
        assert fold.validation is None
        assert len(fold.train) + len(fold.test) == len(digits.train)


def test_images_that_belong_together_are_in_one_fold(digits: Splits) -> None:
    digits = grouped(digits, 7)
    groups = pooled_images(digits).groups
    assert groups is not None
    for fold in draw_folds(digits, count=5, repeats=1, seed=0):
        assert not set(groups[fold.test]) & set(groups[fold.train])


def test_copies_of_a_picture_are_in_one_fold(photographs: Path, in_empty_folder: Path) -> None:
    for split, count in (("train", 10), ("val", 5)):
        for name in ("ants", "bees"):
            target = Path("photographs", split, name)
            target.mkdir(parents=True)
            for file in sorted((photographs / "train" / name).glob("*.jpg"))[:count]:
                (target / file.name).write_bytes(file.read_bytes())
    Path("recipe.yaml").write_text(
        "data: {source: image_folder, path: photographs, image_size: [16, 16]}\n"
        "model: {architecture: mlp}\n"
    )
    splits = load_recipe(Path("recipe.yaml")).recipe.data.load()
    pool = pooled_images(splits)
    for fold in draw_folds(splits, count=3, repeats=2, seed=0):
        names = [{Path(pool.names[i]).name for i in part} for part in (fold.test, fold.train)]
        assert not names[0] & names[1]


def test_the_images_of_a_fold_are_those_of_the_splits(digits: Splits) -> None:
    assert digits.validation is not None
    fold = draw_folds(digits, count=3, repeats=1, seed=0)[1]
    of_fold = splits_of_fold(digits, fold)
    assert of_fold.test is not None
    everything = np.concatenate(
        [split.images.read(np.arange(len(split))) for split in (digits.train, digits.validation)]
    )
    some = np.array([5, 0, 200])
    assert np.array_equal(of_fold.test.images.read(some), everything[fold.test[some]])
    assert of_fold.test.images.shape == digits.train.images.shape
    labels = np.concatenate([digits.train.labels, digits.validation.labels])
    assert np.array_equal(of_fold.train.labels, labels[fold.train])
    others = splits_of_fold(digits, draw_folds(digits, count=3, repeats=1, seed=0)[2])
    assert others.train.digest != of_fold.train.digest


def test_too_few_images_of_a_class_are_a_warning(digits: Splits, messages: list[str]) -> None:
    labels = digits.train.labels.copy()
    labels[labels == 3] = 4
    labels[0] = 3
    train = dataclasses.replace(digits.train, labels=labels)
    digits = dataclasses.replace(digits, train=train, validation=None)
    draw_folds(digits, count=5, repeats=1, seed=0)
    assert messages == [
        "WARNING: training.folds: 3: fewer than 5 images. Some folds have none of them."
    ]


def test_too_few_groups_are_an_error(digits: Splits) -> None:
    with pytest.raises(DataError) as caught:
        draw_folds(grouped(digits, 600), count=5, repeats=1, seed=0)
    assert str(caught.value) == (
        "training.folds: the 1,528 training and validation examples are too few, or too few "
        "groups of those that belong together, for 5 folds. Set fewer folds."
    )
