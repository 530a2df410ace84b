"""What a report shows of a run: the images that it says it shows."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from pipeline.data import augmentation
from pipeline.data.batches import training_batches
from pipeline.data.digits import DigitsConfig
from pipeline.data.splits import DuplicateImage, Splits
from pipeline.evaluation.predictions import Predictions
from pipeline.recipe.loader import LoadedRecipe, load_recipe
from pipeline.stages import run_report


@pytest.fixture(scope="module")
def splits() -> Splits:
    return DigitsConfig(source="digits").load()


def recipe_with(tmp_path: Any, text: str) -> LoadedRecipe:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"data: {{source: digits, batch_size: 32, {text}}}\nmodel: {{architecture: mlp}}"
    )
    return load_recipe(path)


def test_the_augmented_images_are_those_that_training_saw_first(
    tmp_path: Any, splits: Splits
) -> None:
    recipe = recipe_with(tmp_path, "augmentation: [{random_translation: {}}, {mix_up: {}}]").recipe
    layers = augmentation.build_augmentation(recipe.data.augmentation, image_size=(8, 8))
    batches = training_batches(
        splits.train,
        classes=10,
        output="softmax",
        batch_size=32,
        augmentation=layers,
        seed=recipe.seed,
        epochs=1,
    )
    images, _ = next(iter(batches))
    shown = run_report._augmented(recipe, splits)
    assert len(shown) == 12
    for picture, image in zip(shown, images.numpy(), strict=False):
        np.testing.assert_array_equal(picture.image, image.round())
    assert any(" + " in picture.caption for picture in shown)


def test_without_augmentation_the_images_are_shown_as_they_are(
    tmp_path: Any, splits: Splits
) -> None:
    recipe = recipe_with(tmp_path, "image_size: [8, 8]").recipe
    for picture in run_report._augmented(recipe, splits):
        place = splits.train.names.index(picture.name)
        np.testing.assert_array_equal(picture.image, splits.train.images.read(np.array([place]))[0])
        assert picture.caption == str(splits.train.labels[place])


def test_a_picture_that_is_in_two_splits_comes_first(splits: Splits) -> None:
    def copy(split: str, index: int) -> DuplicateImage:
        part = splits.named()[split]
        return DuplicateImage(split, index, part.names[index], int(part.labels[index]), digest="")

    groups = ((copy("train", 1), copy("train", 2)), (copy("train", 3), copy("val", 4)))
    across, inside = run_report._duplicates(dataclasses.replace(splits, duplicates=groups)) or []
    assert (across.is_leak, inside.is_leak) == (True, False)
    label = splits.validation.labels[4]
    assert across.pictures[1].caption == f"{label} · val"
    image = splits.validation.images.read(np.array([4]))[0]
    np.testing.assert_array_equal(across.pictures[1].image, image)


def test_of_many_copies_some_of_each_split_are_shown(splits: Splits) -> None:
    copies = [DuplicateImage("train", i, splits.train.names[i], 0, digest="") for i in range(30)]
    copies.append(DuplicateImage("val", 4, splits.validation.names[4], 0, digest=""))
    found = run_report._duplicates(dataclasses.replace(splits, duplicates=(tuple(copies),))) or []
    assert [picture.caption for picture in found[0].pictures] == [*["0 · train"] * 4, "0 · val"]


def test_nothing_is_said_of_duplicates_that_nobody_looked_for(splits: Splits) -> None:
    assert run_report._duplicates(splits) is None
    assert run_report._duplicates(dataclasses.replace(splits, duplicates=())) == []


def test_the_pictures_are_of_the_images_that_the_predictions_are_of(splits: Splits) -> None:
    split = splits.validation
    shares = np.full((len(split), 10), 0.01)
    shares[np.arange(len(split)), split.labels] = 0.91
    wrong, unsure = 5, 7
    shares[wrong] = np.roll(shares[wrong], 1)
    shares[unsure] = np.where(shares[unsure] > 0.5, 0.5, 0.05)
    given = Predictions(splits.class_names, split.names, split.image_digests, split.labels, shares)
    asked: list[list[int]] = []

    def heat_maps(numbers: np.ndarray, classes: np.ndarray) -> np.ndarray:
        asked.append([*numbers])
        np.testing.assert_array_equal(classes, given.chosen[numbers])
        return np.zeros((len(numbers), 8, 8))

    found = run_report.build_split_report(
        split.images,
        given,
        {"val_accuracy": 0.9, "test_accuracy": 0.8},
        prefix="val",
        title="validation",
        note="",
        heat_maps=heat_maps,
    )
    (mistake,) = found.mistakes
    true = split.labels[wrong]
    assert mistake.name == split.names[wrong]
    assert mistake.caption == f"is {true} · taken for {(true + 1) % 10} · 91.0% sure"
    np.testing.assert_array_equal(mistake.image, split.images.read(np.array([wrong]))[0])
    assert found.uncertain[0].caption == f"is {split.labels[unsure]} · 50.0% sure"
    assert asked[0][:2] == [wrong, unsure]
    assert found.metrics == {"accuracy": 0.9}
