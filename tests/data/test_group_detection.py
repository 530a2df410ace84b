"""Guesses which images belong together."""

from __future__ import annotations

import re

import pytest

from pipeline.data.group_detection import guess_groups

CLASSES = 2


def keys_of(form: str, groups: int = 12, views: int = 3) -> tuple[list[str], list[int]]:
    """Return keys of images and their classes: views of groups, which are in one class each."""
    numbers = [(group, view) for group in range(groups) for view in range(views)]
    keys = [
        form.format(group=group, view=view, image=views * group + view) for group, view in numbers
    ]
    return keys, [group % CLASSES for group, _ in numbers]


@pytest.mark.parametrize(
    ("form", "key", "example"),
    [
        ("patient{group:03}/scan{view}.png", "level", "patient000"),
        ("{group}/{view}.png", "level", "0"),
        ("Patient-{group:02}_{view}.png", "pattern", "Patient-00"),
        ("cam1_video{group}_frame{view:03}.jpg", "pattern", "video0"),
        ("scans/subject{group}/{view}.png", "pattern", "subject0"),
    ],
)
def test_names_that_tell_groups(form: str, key: str, example: str) -> None:
    keys, labels = keys_of(form)
    guess = guess_groups(keys, labels)
    assert guess
    assert (guess.key, guess.example, guess.groups, guess.is_certain) == (key, example, 12, True)


def test_the_pattern_finds_the_groups() -> None:
    keys, labels = keys_of("Patient-{group:02}_{view}.png")
    guess = guess_groups(keys, labels)
    assert guess
    found = [re.search(str(guess.value), key) for key in keys]
    assert [match and match[1] for match in found] == [key[:10] for key in keys]


def test_numbers_before_a_counter_are_less_certain() -> None:
    guess = guess_groups(*keys_of("{group:04}_{view}.png"))
    assert guess
    assert (guess.value, guess.groups, guess.is_certain) == (r"(\d+)[-_ ][^/]*$", 12, False)


@pytest.mark.parametrize(
    "form",
    [
        "{image}.jpg",
        "image_{image:05}.png",
        "1030023514{image}_aad5c608f9.jpg",
        "exp1_num_{image}.jpg",
        "patient{image}.png",  # one image of each
        "holiday/{image}.jpg",
        "dogs/vacation{view}/{image}.jpg",
    ],
)
def test_names_that_tell_no_groups(form: str) -> None:
    assert guess_groups(*keys_of(form)) is None


def test_numbers_that_begin_anew_in_each_class_are_no_groups() -> None:
    keys = [f"leaf_{number}.png" for number in range(20)] * 3
    assert guess_groups(keys, [label for label in range(3) for _ in range(20)]) is None


def test_few_groups_are_none_that_splits_could_be_filled_with() -> None:
    assert guess_groups(*keys_of("patient{group}/{view}.png", groups=6)) is None


def test_a_class_with_one_group_could_not_be_in_two_splits() -> None:
    keys, labels = keys_of("patient{group}/{view}.png")
    assert guess_groups([*keys, *["patient99/a.png"] * 3], [*labels, 2, 2, 2]) is None


def test_no_file_has_no_group() -> None:
    assert guess_groups([], []) is None
