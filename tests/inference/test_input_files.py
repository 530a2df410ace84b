"""Expansion of paths, directories and patterns to files."""

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


def test_a_directory_matches_the_images_below_it() -> None:
    assert names("a") == ["a/1.PNG", "a/2.jpg", "a/deep/3.webp"]


def test_a_file_matches_whatever_its_extension() -> None:
    assert names("b.data", "a/2.jpg") == ["b.data", "a/2.jpg"]


def test_a_pattern_is_expanded() -> None:
    assert names("a/**/*.*") == ["a/1.PNG", "a/2.jpg", "a/deep/3.webp", "a/notes.txt"]


def test_each_file_is_returned_once() -> None:
    assert names("a/2.jpg", "a", "a/*.jpg") == ["a/2.jpg", "a/1.PNG", "a/deep/3.webp"]


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ("c", "No such file: c"),
        ("*.jpg", "No such file: *.jpg"),
        ("empty", "The directory empty contains no images."),
    ],
)
def test_no_match_is_an_error(argument: str, problem: str) -> None:
    Path("empty").mkdir()
    with pytest.raises(UsageError) as caught:
        expand_paths(["a", argument])
    assert str(caught.value) == problem
