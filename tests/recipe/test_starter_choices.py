"""The values of a first recipe follow from the data."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.dataset_statistics import (
    DatasetStatistics,
    GroupGuess,
    ImageSizes,
    summarize_sizes,
)
from pipeline.data.splits import UnreadableFile
from pipeline.errors import DataError
from pipeline.recipe import data_choices, starter_choices
from pipeline.recipe.data_choices import Choice
from pipeline.recipe.starter_choices import choose_values

PHOTOGRAPHS = [(640, 480)] * 6 + [(480, 640)] * 4


def sizes_of(sizes: list[tuple[int, int]]) -> ImageSizes:
    """Return the statistics of widths and heights."""
    found = summarize_sizes([width for width, _ in sizes], [height for _, height in sizes])
    assert found
    return found


def dataset(
    counts: tuple[int, ...] = (100, 100),
    names: tuple[str, ...] = ("ants", "bees"),
    sizes: list[tuple[int, int]] | None = None,
    **facts: Any,
) -> DatasetStatistics:
    """Return the statistics of color photographs whose splits are drawn."""
    found = sizes_of(sizes or PHOTOGRAPHS)
    return DatasetStatistics(names, {"train": counts}, **{"sizes": found, **facts})


def values_of(choices: Iterable[Choice]) -> dict[str, Any]:
    return {choice.key: choice.value for choice in choices}


def only(choices: Iterable[Choice]) -> Choice:
    (choice,) = choices
    return choice


def test_photographs_are_classified_by_transfer_learning() -> None:
    values = values_of(choose_values(dataset()))
    assert values["model.architecture"] == "transfer"
    assert (values["model.base"], values["model.weights"]) == ("MobileNetV2", "imagenet")


def test_one_batch_of_images_is_one_step() -> None:
    reasons = {choice.key: choice.reason for choice in choose_values(dataset((8, 8)))}
    assert reasons["data.batch_size"] == "About 16 training images are 1 step."


def test_tiny_images_are_classified_by_lenet_without_a_download() -> None:
    values = values_of(choose_values(dataset(sizes=[(28, 28)] * 9, gray=1.0)))
    assert values["model.architecture"] == "lenet"
    assert values["data.image_size"] == [28, 28]
    assert values["data.channels"] == 1
    assert "model.weights" not in values


def test_a_given_base_is_used_for_tiny_images_too() -> None:
    values = values_of(choose_values(dataset(sizes=[(28, 28)] * 9), base="ResNet50"))
    assert values["model.base"] == "ResNet50"


def test_a_file_as_base_has_its_own_weights() -> None:
    values = values_of(choose_values(dataset(), base=Path("resnet18.keras")))
    assert values["model.base"] == Path("resnet18.keras")
    assert "model.weights" not in values


def test_given_weights_are_those_of_the_base() -> None:
    values = values_of(choose_values(dataset(), weights=Path("a.weights.h5")))
    assert values["model.weights"] == Path("a.weights.h5")


def test_no_image_is_an_error() -> None:
    with pytest.raises(DataError, match=r"^There is no image to choose a recipe for\.$"):
        choose_values(DatasetStatistics(("ants", "bees"), {}))


@pytest.mark.parametrize(
    ("side", "chosen"), [(60, 128), (64, 160), (111, 160), (112, 224), (2000, 224)]
)
def test_the_image_size_follows_the_shorter_side(side: int, chosen: int) -> None:
    size = data_choices.transfer_size(sizes_of([(2 * side, side)]), "MobileNetV2")
    assert size.value == [chosen, chosen]


def test_the_image_size_is_one_that_the_base_accepts() -> None:
    inputs = sizes_of([(50, 50)])
    assert data_choices.transfer_size(inputs, "InceptionV3").value == [128, 128]


def test_the_reason_for_the_image_size_has_numbers() -> None:
    size = data_choices.transfer_size(sizes_of([(640, 480), (640, 481), (1280, 960)]), "VGG16")
    assert size.reason == (
        "The size that networks such as VGG16 are trained at; the shorter side of the images is "
        "480 to 960 pixels, median 481."
    )


def test_usual_photographs_are_cropped() -> None:
    choice = data_choices.resize(sizes_of(PHOTOGRAPHS))
    assert choice.value == "crop"
    assert choice.reason == "A central square shows 75% or more of nine in ten images."


def test_long_images_are_squashed() -> None:
    choice = data_choices.resize(sizes_of([(300, 100), (100, 250)] * 5))
    assert choice.value == "squash"
    assert choice.reason == (
        "A central square would show only 33% of some images, which are 0.40 to 3.00 times as "
        "wide as high."
    )


@pytest.mark.parametrize(
    ("sizes", "values"),
    [
        ([(20, 28)] * 9, {"data.image_size": [28, 20]}),
        ([(40, 40)] * 9, {"data.image_size": [32, 32], "data.resize": "squash"}),
        ([(20, 30), (30, 30)], {"data.image_size": [32, 32], "data.resize": "pad"}),
    ],
    ids=["one small size", "one larger size", "several shapes"],
)
def test_lenet_gets_the_images_as_they_are_if_it_can(
    sizes: list[tuple[int, int]], values: dict[str, Any]
) -> None:
    assert values_of(data_choices.lenet_size(sizes_of(sizes))) == values


def test_colors_are_kept() -> None:
    assert list(data_choices.channels(dataset(gray=0.9))) == []


@pytest.mark.parametrize(
    ("counts", "given", "values"),
    [
        ((100, 100), (), {"data.validation": 0.2, "data.test": 0.2}),
        ((100, 14), (), {"data.validation": 0.2, "data.test": 0.0}),
        ((3, 3), (), {"data.validation": 0.2, "data.test": 0.0}),
        ((4000, 4000), (), {"data.validation": 0.15, "data.test": 0.15}),
        ((40_000, 40_000), (), {"data.validation": 0.1, "data.test": 0.1}),
        ((100, 100), ("train", "val"), {}),
        ((100, 100), ("train", "test"), {"data.validation": 0.2}),
        ((100, 100), ("train", "val", "test"), {}),
    ],
)
def test_splits_are_drawn_where_the_data_has_none(
    counts: tuple[int, ...], given: tuple[str, ...], values: dict[str, Any]
) -> None:
    assert values_of(data_choices.split_shares(dataset(counts, given=given))) == values


def test_the_test_split_is_not_trained_on() -> None:
    assert data_choices.training_images(dataset((80, 80), given=("val",))) == 160
    counts = {"train": (80, 80), "val": (20, 20)}
    assert data_choices.training_images(DatasetStatistics(("a1", "b1"), counts)) == 120


def test_groups_are_kept_together_if_names_tell_them() -> None:
    guess = GroupGuess("level", 1, 40, "patient01", is_certain=True)
    choice = only(data_choices.grouping(dataset(groups=guess)))
    assert (choice.key, choice.value) == ("data.group_by", {"level": 1})
    assert choice.reason == (
        "40 groups such as patient01: images of one group would make the metrics too good if they "
        "were in two splits."
    )


@pytest.mark.parametrize(("is_certain", "given"), [(False, ()), (True, ("train", "val"))])
def test_groups_are_left_alone_if_numbers_may_mean_anything_or_the_split_is_given(
    is_certain: bool, given: tuple[str, ...]
) -> None:
    guess = GroupGuess("pattern", r"(\d+)_", 40, "0001", is_certain=is_certain)
    assert list(data_choices.grouping(dataset(groups=guess, given=given))) == []


@pytest.mark.parametrize(("bad", "allowed"), [(5, None), (6, 0.03), (50, 0.2)])
def test_damaged_files_do_not_stop_the_run(bad: int, allowed: float | None) -> None:
    files = tuple(UnreadableFile(f"{number}.jpg", "truncated") for number in range(bad))
    values = values_of(data_choices.bad_files(dataset(unreadable=files)))
    assert values.get("data.max_bad") == allowed


@pytest.mark.parametrize(
    ("names", "gray", "operation"),
    [
        (("ants", "bees"), 0.2, "random_flip"),
        (("ants", "bees"), 1.0, "random_translation"),
        (("left hand", "right hand"), 0.0, "random_translation"),
        (("turn_left", "turn_right"), 0.0, "random_translation"),
        (("3", "7"), 0.0, "random_translation"),
        (("b", "d"), 0.0, "random_translation"),
        (("digit_3", "digit_7"), 0.0, "random_translation"),
        (("leftover", "upright"), 0.0, "random_flip"),
    ],
)
def test_images_are_mirrored_only_if_that_keeps_their_class(
    names: tuple[str, ...], gray: float, operation: str
) -> None:
    choice = data_choices.augmentation(dataset(names=names, gray=gray))
    assert [*choice.value[0]] == [operation]
    assert choice.reason


def test_many_images_are_not_augmented() -> None:
    assert data_choices.augmentation(dataset((6_000, 6_000))).value == []


@pytest.mark.parametrize(("training", "views"), [(200, None), (4_000, 5), (10_000, 2)])
def test_many_images_have_few_views(training: int, views: int | None) -> None:
    assert values_of(starter_choices.views(training)).get("training.views") == views


def test_rare_classes_weigh_more() -> None:
    choice = only(starter_choices.class_weight(dataset((90, 30))))
    assert (choice.key, choice.value) == ("training.class_weight", "balanced")
    assert choice.reason == (
        "ants has 3.0 times as many training images as bees, so images of rare classes weigh more."
    )
    assert values_of(choose_values(dataset((90, 30))))["training.class_weight"] == "balanced"


def test_classes_of_about_one_size_weigh_the_same() -> None:
    assert list(starter_choices.class_weight(dataset((89, 30)))) == []
    assert "training.class_weight" not in values_of(choose_values(dataset((89, 30))))


def test_the_log_loss_chooses_the_epoch_of_every_recipe() -> None:
    for data in (dataset((90, 30)), dataset((90, 90)), dataset(sizes=[(28, 28)] * 9)):
        stopping = values_of(choose_values(data))["training.early_stopping"]
        assert stopping["monitor"] == "val_log_loss"


def test_many_classes_are_judged_by_their_best_five_too() -> None:
    names = tuple(f"class {number}" for number in range(20))
    assert values_of(starter_choices.top_k(dataset((9,) * 20, names))) == {"training.top_k": 5}
    assert list(starter_choices.top_k(dataset())) == []


def test_each_choice_is_made_once() -> None:
    for statistics in (dataset(), dataset(sizes=[(20, 30), (30, 30)], gray=1.0)):
        keys = [choice.key for choice in choose_values(statistics)]
        assert len(keys) == len(set(keys))
