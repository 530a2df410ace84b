"""Expansion of paths, directories and patterns to files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

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


def test_images_in_a_directory_are_found_by_content_and_the_rest_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "pipeline")
    for name in ("a/scan", "a/scan.data"):
        Image.new("L", (4, 4)).save(name, "TIFF")
    Path("a/README").write_text("Photographs.")
    os.mkfifo("a/pipe")
    assert names("a") == ["a/1.PNG", "a/2.jpg", "a/scan", "a/scan.data", "a/deep/3.webp"]
    assert caplog.messages == ["Ignored files in a that are not images: 2 without a suffix, 1 .txt"]


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
