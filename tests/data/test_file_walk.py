"""Files below a directory: hidden ones, links and directories that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.data.file_walk import has_images_below, may_be_image, subdirectories, walk_files


def plant(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_files_are_sorted_and_relative_and_hidden_ones_are_marked(tmp_path: Path) -> None:
    plant(tmp_path, "b/2.jpg", "b/10.jpg", "a.jpg", ".DS_Store", "b/Thumbs.db", "B/desktop.ini")
    assert list(walk_files(tmp_path)) == [
        (".DS_Store", True),
        ("a.jpg", False),
        ("B/desktop.ini", True),
        ("b/10.jpg", False),
        ("b/2.jpg", False),
        ("b/Thumbs.db", True),
    ]


def test_directories_of_systems_are_left_out(tmp_path: Path) -> None:
    plant(tmp_path, "__MACOSX/1.jpg", ".git/1.jpg", "@eaDir/1.jpg", "__background__/1.jpg")
    assert subdirectories(tmp_path) == ["__background__"]
    assert list(walk_files(tmp_path)) == [("__background__/1.jpg", False)]


def test_a_directory_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(walk_files(tmp_path / "absent"))


@pytest.mark.parametrize("name", ["1.jpg", "1.TIFF", "scan", "1.dat", "IMG.0001"])
def test_a_file_may_be_an_image_unless_its_suffix_is_that_of_something_else(name: str) -> None:
    assert may_be_image(name)
    assert not may_be_image(f"{name}.txt")
    assert not may_be_image(f".{name}")


def test_images_are_found_at_any_depth(tmp_path: Path) -> None:
    plant(tmp_path, "a/b/c/1.jpg", "d/notes.txt", "d/.hidden/1.jpg")
    assert has_images_below(tmp_path / "a")
    assert not has_images_below(tmp_path / "d")
