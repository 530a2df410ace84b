"""The files that paths, folders and patterns stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.inference.input_files import expand_paths


@pytest.fixture(autouse=True)
def tree(in_empty_folder: Path) -> None:
    for name in ("a/2.jpg", "a/1.PNG", "a/deep/3.webp", "a/notes.txt", "a/.hidden.jpg", "b.data"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def names(*arguments: str) -> list[str]:
    return [str(path) for path in expand_paths(arguments)]


def test_a_folder_stands_for_the_images_below_it() -> None:
    assert names("a") == ["a/1.PNG", "a/2.jpg", "a/deep/3.webp"]


def test_a_file_that_is_named_is_taken_whatever_its_name_ends_in() -> None:
    assert names("b.data", "a/2.jpg") == ["b.data", "a/2.jpg"]


def test_a_pattern_that_the_shell_left_alone_is_one() -> None:
    assert names("a/**/*.*") == ["a/1.PNG", "a/2.jpg", "a/deep/3.webp", "a/notes.txt"]


def test_a_file_stands_in_the_result_once() -> None:
    assert names("a/2.jpg", "a", "a/*.jpg") == ["a/2.jpg", "a/1.PNG", "a/deep/3.webp"]


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ("c", "There is no file c."),
        ("*.jpg", "There is no file *.jpg."),
        ("empty", "empty holds no image."),
    ],
)
def test_nothing_is_an_error(argument: str, problem: str) -> None:
    Path("empty").mkdir()
    with pytest.raises(UsageError) as refused:
        expand_paths(["a", argument])
    assert str(refused.value) == problem
