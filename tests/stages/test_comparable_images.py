"""The images that two models can be compared on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.data.image_digests import ImageDigests, image_digests
from pipeline.data.splits import DuplicateImage, Split, Splits
from pipeline.recipe.loader import load_recipe
from pipeline.stages.comparable_images import comparable_images, images_digest


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Splits, Splits]:
    """Digits that were split with two seeds."""
    path = tmp_path_factory.mktemp("splits") / "recipe.yaml"
    path.write_text("data: {source: digits}\nmodel: {architecture: mlp}\n")
    first, second = (
        load_recipe(path, (f"data.split_seed={seed}",)).recipe.data.load() for seed in (0, 1)
    )
    return first, second


def names(split: Split | None, indices: np.ndarray | None = None) -> set[str]:
    assert split
    return {split.names[index] for index in (range(len(split)) if indices is None else indices)}


def knowing(splits: Splits, **images: int) -> ImageDigests:
    """Return the digests of a model that knows one image of a split, as that of another."""
    known = {name: splits.named()[name].subset(np.array([i])) for name, i in images.items()}
    return image_digests(replace(splits, train=known["train"], validation=known.get("val")))


def test_test_images_are_unknown_to_both_models(drawn: tuple[Splits, Splits]) -> None:
    champion, new = drawn
    indices = comparable_images(new, "test", image_digests(champion))
    assert names(new.test, indices) == names(new.test) & names(champion.test)
    assert 0 < len(indices) < len(new.named()["test"]) / 2
    assert (np.diff(indices) > 0).all()


def test_validation_images_chose_the_epoch_of_both_models(drawn: tuple[Splits, Splits]) -> None:
    champion, new = drawn
    indices = comparable_images(new, "validation", image_digests(champion))
    assert names(new.validation, indices) == names(new.validation) & names(champion.validation)


def test_models_of_the_same_splits_are_compared_on_all_images(drawn: tuple[Splits, Splits]) -> None:
    champion = drawn[0]
    for kind in ("test", "validation"):
        indices = comparable_images(champion, kind, image_digests(champion))
        assert len(indices) == len(champion.named()["test" if kind == "test" else "val"])


def duplicates(splits: Splits, *images: tuple[str, int]) -> tuple[DuplicateImage, ...]:
    return tuple(
        DuplicateImage(name, index, "", 0, splits.named()[name].hex_digests()[index], index)
        for name, index in images
    )


def test_copies_of_known_images_are_left_out(drawn: tuple[Splits, Splits]) -> None:
    champion, new = drawn
    alike = replace(
        new,
        duplicates=(
            duplicates(new, ("train", 0), ("test", 3)),
            duplicates(new, ("val", 0), ("test", 4)),
            duplicates(new, ("test", 5), ("test", 6)),
        ),
    )
    stranger = knowing(champion, train=0)
    assert stranger.find(new.named()["test"].image_digests)[0].sum() == 0
    compared = comparable_images(alike, "test", stranger).tolist()
    assert {3, 4, 6}.isdisjoint(compared)
    assert len(compared) == len(new.named()["test"]) - 3


def test_an_image_with_a_copy_that_the_champion_knows_is_left_out(
    drawn: tuple[Splits, Splits],
) -> None:
    new = drawn[1]
    alike = replace(new, duplicates=(duplicates(new, ("test", 5), ("test", 6)),))
    compared = comparable_images(
        alike, "test", knowing(replace(new, train=new.named()["test"]), train=6)
    )
    assert {5, 6}.isdisjoint(compared.tolist())


def test_the_same_image_twice_is_compared_once(drawn: tuple[Splits, Splits]) -> None:
    new = drawn[1]
    test = new.named()["test"]
    twice = replace(new, test=test.subset(np.array([0, 1, 0])))
    assert comparable_images(twice, "test", knowing(new, train=0)).tolist() == [0, 1]


def test_the_digest_of_images_does_not_depend_on_their_order(drawn: tuple[Splits, Splits]) -> None:
    test = drawn[0].named()["test"]
    turned = test.subset(np.arange(len(test))[::-1])
    assert images_digest(test) == images_digest(turned)
    assert images_digest(test) != images_digest(test.subset(np.arange(len(test) - 1)))
