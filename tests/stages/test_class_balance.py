"""Training on digits of which one class has few images."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.digits import DigitsConfig
from pipeline.data.splits import ArrayImages, Split, Splits
from pipeline.errors import DataError
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.loader import load_recipe
from pipeline.stages.class_balance import warn_of_imbalance
from pipeline.stages.data_checks import check_recipe_with_data
from pipeline.stages.train_model import train_model

RARE, IMAGES = 8, 6  # the images of this digit that are left to train on
TEXT = """\
data: {source: digits}
model: {architecture: mlp, hidden: []}
optimizer: {learning_rate: 3e-3}
training: {epochs: 6}
"""


def thinned(split: Split, label: int, count: int) -> Split:
    of_class = np.flatnonzero(split.labels == label)
    kept = np.setdiff1d(np.arange(len(split)), of_class[count:])
    return Split(
        ArrayImages(split.images.read(kept)),
        split.labels[kept],
        [split.names[index] for index in kept],
        split.image_digests[kept],
        digest=f"{split.digest} with {count} of {label}",
    )


@pytest.fixture(scope="module")
def splits() -> Splits:
    everything = DigitsConfig(source="digits").load()
    return dataclasses.replace(everything, train=thinned(everything.train, RARE, IMAGES))


def recipe(*overrides: str) -> Recipe:
    path = Path("recipe.yaml")
    path.write_text(TEXT)
    return load_recipe(path, overrides).recipe


def recall_and_loss(splits: Splits, *overrides: str) -> tuple[float, float]:
    """Return the recall of the rare class and the training loss of the last epoch."""
    trained = train_model(recipe(*overrides), splits, on_epoch=lambda *_: None, show_progress=False)
    probabilities = trained.trainer.predict(splits.named()["val"], "val")
    is_rare = splits.named()["val"].labels == RARE
    recall = float(np.mean(probabilities[is_rare].argmax(axis=1) == RARE))
    return recall, trained.history.rows[-1]["loss"]


@pytest.fixture(scope="module")
def natural(splits: Splits, tmp_path_factory: pytest.TempPathFactory) -> tuple[float, float]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("natural"))
        return recall_and_loss(splits)


@pytest.mark.parametrize(
    "remedy",
    [
        "training.class_weight=balanced",
        f"training.class_weight={{{RARE}: 20}}",
        "data.sampling=balanced",
        "training={class_weight: balanced, loss: {focal_cross_entropy: {gamma: 1}}, epochs: 6}",
    ],
)
def test_more_images_of_a_rare_class_are_recognized(
    splits: Splits, natural: tuple[float, float], in_empty_folder: None, remedy: str
) -> None:
    recall, loss = recall_and_loss(splits, remedy)
    assert recall > natural[0] + 0.3
    assert loss < 2 * natural[1]  # the loss keeps its scale


def test_imbalanced_classes_are_a_warning_with_their_counts(
    splits: Splits, in_empty_folder: None, messages: list[str]
) -> None:
    warn_of_imbalance(recipe(), splits)
    counts = np.bincount(splits.train.labels)
    order = sorted(range(10), key=lambda label: -counts[label])
    listed = ", ".join(f"{label} {counts[label]}" for label in order)
    assert listed.endswith(f", {RARE} {IMAGES}")
    assert messages == [
        f"WARNING: The classes are imbalanced. Training images: {listed}. The model may miss rare "
        "classes, which accuracy hardly shows: see balanced_accuracy. To give rare classes more "
        "weight, set training.class_weight: balanced or data.sampling: balanced."
    ]


def test_the_warning_lists_the_largest_and_the_smallest_of_many_classes(
    splits: Splits, in_empty_folder: None, messages: list[str]
) -> None:
    labels = np.repeat(np.arange(14), [*range(40, 27, -1), 4])
    many = dataclasses.replace(
        splits,
        class_names=tuple("abcdefghijklmn"),
        train=dataclasses.replace(splits.train, labels=labels),
    )
    warn_of_imbalance(recipe(), many)
    (message,) = messages
    assert "a 40, b 39, c 38, d 37, e 36, f 35, …, i 32, j 31, k 30, l 29, m 28, n 4. " in message


@pytest.mark.parametrize(
    "remedy",
    [
        "training.class_weight=balanced",
        "training.class_weight={8: 5}",
        "data.sampling=balanced",
        "training.loss=focal_cross_entropy",
        "tuning.space={training.class_weight: {choice: [none, balanced]}}",
    ],
)
def test_there_is_no_warning_where_the_recipe_has_a_remedy(
    splits: Splits, in_empty_folder: None, messages: list[str], remedy: str
) -> None:
    warn_of_imbalance(recipe(remedy), splits)
    assert messages == []


def test_there_is_no_warning_where_classes_are_balanced(
    in_empty_folder: None, messages: list[str]
) -> None:
    warn_of_imbalance(recipe(), DigitsConfig(source="digits").load())
    assert messages == []


def test_a_class_that_the_data_does_not_have_is_an_error(
    splits: Splits, in_empty_folder: None
) -> None:
    renamed = dataclasses.replace(splits, class_names=tuple("abcdefghij"))
    with pytest.raises(DataError) as refused:
        check_recipe_with_data(recipe("training.class_weight={8: 5}"), renamed)
    assert str(refused.value) == (
        "training.class_weight.8: the data has no such class. Available: a, b, c, d, e, f, "
        "g, h, i, j."
    )
