"""The report on a run: that it shows the images that it claims to show."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from pipeline.data import augmentation
from pipeline.data.batches import training_batches
from pipeline.data.digits import DigitsConfig
from pipeline.data.image_source import augmentation_of
from pipeline.data.splits import DuplicateImage, Splits
from pipeline.evaluation.predictions import Predictions
from pipeline.recipe.loader import LoadedRecipe, load_recipe
from pipeline.stages import run_report
from pipeline.stages.model_view import ModelView
from pipeline.tasks import classification


@pytest.fixture(scope="module")
def splits() -> Splits:
    return DigitsConfig(source="digits").load()


def recipe_with(tmp_path: Any, text: str) -> LoadedRecipe:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"data: {{source: digits, batch_size: 32, {text}}}\nmodel: {{architecture: mlp}}"
    )
    return load_recipe(path)


def test_the_augmented_images_are_those_of_the_first_training_batch(
    tmp_path: Any, splits: Splits
) -> None:
    recipe = recipe_with(tmp_path, "augmentation: [{random_translation: {}}, {mix_up: {}}]").recipe
    layers = augmentation.build_augmentation(augmentation_of(recipe.data), image_size=(8, 8))
    batches = training_batches(
        splits.train,
        encoding=recipe.label_encoding(splits),
        batch_size=32,
        augmentation=layers,
        seed=recipe.seed,
        epochs=1,
    )
    images, _ = next(iter(batches))
    shown = run_report._augmented_images(recipe, splits)
    assert len(shown) == 12
    for captioned, image in zip(shown, images.numpy(), strict=False):
        np.testing.assert_array_equal(captioned.image, image.round())
    assert any(" + " in captioned.caption for captioned in shown)


def test_without_augmentation_the_images_are_shown_as_they_are(
    tmp_path: Any, splits: Splits
) -> None:
    recipe = recipe_with(tmp_path, "image_size: [8, 8]").recipe
    for captioned in run_report._augmented_images(recipe, splits):
        index = splits.train.names.index(captioned.name)
        np.testing.assert_array_equal(
            captioned.image, splits.train.images.read(np.array([index]))[0]
        )
        assert captioned.caption == str(splits.train.labels[index])


def test_duplicates_across_splits_come_first(splits: Splits) -> None:
    def copy(split: str, index: int) -> DuplicateImage:
        part = splits.named()[split]
        return DuplicateImage(split, index, part.names[index], int(part.labels[index]), "", 0)

    groups = ((copy("train", 1), copy("train", 2)), (copy("train", 3), copy("val", 4)))
    across, inside = (
        run_report._duplicate_groups(dataclasses.replace(splits, duplicates=groups)) or []
    )
    assert (across.is_leak, inside.is_leak) == (True, False)
    label = splits.named()["val"].labels[4]
    assert across.images[1].caption == f"{label} · val"
    image = splits.named()["val"].images.read(np.array([4]))[0]
    np.testing.assert_array_equal(across.images[1].image, image)


def test_of_many_copies_the_first_of_each_split_are_shown(splits: Splits) -> None:
    copies = [DuplicateImage("train", i, splits.train.names[i], 0, "", 0) for i in range(30)]
    copies.append(DuplicateImage("val", 4, splits.named()["val"].names[4], 0, "", 0))
    groups = (
        run_report._duplicate_groups(dataclasses.replace(splits, duplicates=(tuple(copies),))) or []
    )
    captions = [f"{label} · train" for label in splits.train.labels[:4]]
    captions.append(f"{splits.named()['val'].labels[4]} · val")
    assert [captioned.caption for captioned in groups[0].images] == captions


def test_duplicates_that_were_not_searched_for_have_no_section(splits: Splits) -> None:
    assert run_report._duplicate_groups(splits) is None
    assert run_report._duplicate_groups(dataclasses.replace(splits, duplicates=())) == []


def test_the_errors_and_the_uncertain_images_match_their_predictions(splits: Splits) -> None:
    split = splits.named()["val"]
    probabilities = np.full((len(split), 10), 0.01)
    probabilities[np.arange(len(split)), split.labels] = 0.91
    wrong, uncertain = 5, 7
    probabilities[wrong] = np.roll(probabilities[wrong], 1)
    probabilities[uncertain] = np.where(probabilities[uncertain] > 0.5, 0.5, 0.05)
    predictions = Predictions(
        splits.class_names, split.names, split.hex_digests(), split.labels, probabilities
    )
    requested: list[list[int]] = []
    no_model: Any = None

    def heatmaps(indices: np.ndarray, classes: np.ndarray) -> np.ndarray:
        requested.append([*indices])
        np.testing.assert_array_equal(classes, predictions.predicted[indices])
        return np.zeros((len(indices), 8, 8))

    report = run_report.build_split_report(
        classification,
        ModelView(no_model, split.images),
        predictions,
        {"val_accuracy": 0.9, "test_accuracy": 0.8},
        prefix="val",
        title="Validation",
        note="",
        heatmaps=heatmaps,
    )
    errors, least_certain = report.sheets
    (error,) = errors.images
    true = split.labels[wrong]
    assert error.name == split.names[wrong]
    assert error.caption == f"true: {true} · predicted: {(true + 1) % 10} (91.0%)"
    np.testing.assert_array_equal(error.image, split.images.read(np.array([wrong]))[0])
    label = split.labels[uncertain]
    assert least_certain.images[0].caption == f"true: {label} · predicted: {label} (50.0%)"
    assert requested[0][:2] == [wrong, uncertain]
    assert report.metrics == {"accuracy": 0.9}
