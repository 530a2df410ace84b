"""Duplicate images."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data import duplicates
from pipeline.data.duplicates import (
    describe_label_conflicts,
    describe_leakage,
    describe_likely_leakage,
    describe_repetitions,
    find_duplicate_groups,
    thumbnail,
)
from pipeline.data.image_decoding import Decoding, decode_image
from pipeline.data.splits import DuplicateImage

COUNT = 24


def jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def scaled(image: Image.Image, factor: float) -> Image.Image:
    size = (round(image.width * factor), round(image.height * factor))
    return image.resize(size, Image.Resampling.BICUBIC)


def thumbnail_of(data: bytes) -> np.ndarray:
    return thumbnail(decode_image(data, Decoding((128, 128), "crop")))


@pytest.fixture(scope="module")
def originals(photographs: Path) -> list[Image.Image]:
    opened = []
    for name in ("ants", "bees"):
        for path in sorted((photographs / "val" / name).glob("*.jpg"))[: COUNT // 2]:
            with Image.open(path) as image:
                opened.append(image.convert("RGB"))
    return opened


@pytest.fixture(scope="module")
def thumbnails(originals: list[Image.Image]) -> np.ndarray:
    return np.stack([thumbnail_of(jpeg(image, 95)) for image in originals])


@pytest.mark.parametrize(
    "again",
    [
        lambda image: jpeg(image, 35),
        lambda image: jpeg(image, 75),
        lambda image: jpeg(scaled(image, 0.5), 85),
        lambda image: jpeg(scaled(image, 1.5), 85),
    ],
    ids=["quality 35", "quality 75", "half the size", "larger"],
)
def test_a_copy_is_found_and_nothing_else(
    originals: list[Image.Image], thumbnails: np.ndarray, again: Callable[[Image.Image], bytes]
) -> None:
    copies = np.stack([thumbnail_of(again(image)) for image in originals])
    groups = find_duplicate_groups(np.concatenate([thumbnails, copies]))
    assert groups == [[number, COUNT + number] for number in range(COUNT)]


def test_similar_digits_are_not_duplicates(mnist_file: Path) -> None:
    with np.load(mnist_file) as archive:
        digits = archive["x_train"][:3000]
    gray = np.stack([thumbnail(np.repeat(digit[..., np.newaxis], 3, -1)) for digit in digits])
    assert find_duplicate_groups(gray) == []


def scenes(photograph: Image.Image, count: int) -> list[Image.Image]:
    """Return what a fixed camera takes: the same place, with noise and a small object somewhere."""
    generator = np.random.default_rng(0)
    ground = np.asarray(photograph.convert("RGB").resize((256, 256)), np.float32)
    images = []
    for _ in range(count):
        pixels = ground + generator.normal(0, 3, ground.shape)
        top, left = generator.integers(0, 226, 2)
        pixels[top : top + 30, left : left + 30] = generator.integers(0, 256, 3)
        images.append(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))
    return images


def test_scenes_of_a_fixed_camera_are_not_duplicates(
    originals: list[Image.Image], thumbnails: np.ndarray
) -> None:
    taken = [thumbnail_of(jpeg(image, 90)) for image in scenes(originals[0], 60)]
    assert find_duplicate_groups(np.stack(taken)) == []
    assert find_duplicate_groups(np.concatenate([np.stack(taken), thumbnails[1:]])) == []


def test_a_copy_is_found_among_scenes_of_a_fixed_camera(originals: list[Image.Image]) -> None:
    images = scenes(originals[0], 60)
    taken = [thumbnail_of(jpeg(image, 90)) for image in images]
    copies = [thumbnail_of(jpeg(image, 60)) for image in images[5:8]]
    assert find_duplicate_groups(np.stack(taken + copies)) == [[5, 60], [6, 61], [7, 62]]


def test_more_copies_than_compared_neighbours_are_one_group(thumbnails: np.ndarray) -> None:
    count = 3 * duplicates._MAX_NEIGHBOURS
    many = np.concatenate([thumbnails[:2], np.repeat(thumbnails[2:3], count, axis=0)])
    assert find_duplicate_groups(many) == [list(range(2, count + 2))]


def test_a_copy_is_found_among_many_images_with_the_same_hash(
    thumbnails: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    darker = [(thumbnails[0] * share).astype(np.uint8) for share in np.linspace(0.3, 1, 5)]
    assert find_duplicate_groups(np.stack([*darker, darker[2]])) == [[2, 5]]


def test_another_colour_is_not_a_duplicate(thumbnails: np.ndarray) -> None:
    tinted = (thumbnails * (1, 0.7, 0.7)).astype(np.uint8)
    assert find_duplicate_groups(np.concatenate([thumbnails, tinted])) == []


def test_flat_images_are_duplicates_only_if_they_are_equal() -> None:
    flat = np.full((4, 16, 16, 3), 128, np.uint8)
    flat[1] += 1
    flat[3, 0, 0] += 1
    assert find_duplicate_groups(flat) == [[0, 2]]


def test_the_same_background_is_not_a_duplicate() -> None:
    ground = np.full((16, 16, 3), (160, 110, 40), np.uint8)
    slope = np.arange(16, dtype=np.uint8)[:, np.newaxis, np.newaxis]
    assert find_duplicate_groups(np.stack([ground + slope // 4, ground + slope // 2])) == []


@pytest.mark.parametrize("count", [0, 1])
def test_one_image_has_no_copy(thumbnails: np.ndarray, count: int) -> None:
    assert find_duplicate_groups(thumbnails[:count]) == []


# Descriptions


def copies(*paths: str, digests: str = "aaaaaa", pixels: str = "") -> tuple[DuplicateImage, ...]:
    """Return copies at paths such as train/ants/1.jpg."""
    classes = ("ants", "bees")
    parts = [path.split("/") for path in paths]
    return tuple(
        DuplicateImage(split, 0, path, classes.index(name), digest, ord(pixels))
        for path, (split, name, _), digest, pixels in zip(
            paths, parts, digests, pixels or digests, strict=False
        )
    )


def test_the_description_of_no_duplicates_is_empty() -> None:
    assert describe_leakage([]) == describe_label_conflicts([]) == describe_repetitions([]) == ""


def test_a_picture_in_two_splits_is_leakage() -> None:
    groups = [
        copies("train/ants/1.jpg", "val/ants/2.jpg"),
        copies(
            "train/ants/3.jpg", "train/ants/4.jpg", "test/ants/5.jpg", digests="aab", pixels="aaa"
        ),
        copies("train/ants/6.jpg", "train/ants/7.jpg", "test/ants/8.jpg", digests="abb"),
    ]
    assert describe_leakage(groups) == (
        "3 pictures are in more than one split, which makes the metrics too good. "
        "Keep one copy of each:\n"
        "  train/ants/1.jpg = val/ants/2.jpg (same file)\n"
        "  train/ants/3.jpg = train/ants/4.jpg = test/ants/5.jpg (same pixels)\n"
        "  train/ants/6.jpg = train/ants/7.jpg = test/ants/8.jpg (look the same)"
    )
    assert describe_label_conflicts(groups) == describe_repetitions(groups) == ""


def test_images_that_look_the_same_in_two_splits_are_likely_leakage() -> None:
    groups = [copies("train/ants/1.jpg", "train/ants/2.jpg", "val/ants/3.jpg", digests="aab")]
    assert describe_leakage(groups) == describe_repetitions(groups) == ""
    assert describe_likely_leakage(groups) == (
        "1 picture seems to be in more than one split, which would make the metrics too good. If "
        "these are copies, keep one of each:\n"
        "  train/ants/1.jpg = train/ants/2.jpg = val/ants/3.jpg (look the same)"
    )


def test_a_picture_in_two_classes_is_a_label_conflict() -> None:
    groups = [copies("train/ants/1.jpg", "train/bees/1.jpg")]
    assert describe_leakage(groups) == describe_repetitions(groups) == ""
    assert describe_label_conflicts(groups) == (
        "1 picture is labeled in more than one way. Keep only the copies with the correct label:"
        "\n  train/ants/1.jpg = train/bees/1.jpg (same file)"
    )


def test_a_picture_in_two_classes_and_two_splits_is_both() -> None:
    groups = [copies("train/ants/1.jpg", "val/bees/1.jpg")]
    assert describe_leakage(groups).startswith("1 picture is in more than one split")
    assert describe_label_conflicts(groups).startswith("1 picture is labeled in more than one way")
    assert describe_repetitions(groups) == ""


def test_a_picture_repeated_within_a_class_is_neither() -> None:
    groups = [copies("val/bees/1.jpg", "val/bees/2.jpg", digests="ab")]
    assert describe_leakage(groups) == describe_label_conflicts(groups) == ""
    assert describe_repetitions(groups) == (
        "1 picture is repeated in a class:\n  val/bees/1.jpg = val/bees/2.jpg (look the same)"
    )


def test_a_long_list_ends_after_twenty() -> None:
    groups = [copies(f"train/ants/{i}.jpg", f"val/ants/{i}.jpg") for i in range(23)]
    lines = describe_leakage(groups).splitlines()
    assert len(lines) == 22
    assert lines[-1] == "  and 3 more"
