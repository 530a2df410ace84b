"""Copies of a picture: the same file, the same pixels, or what looks the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data import duplicates
from pipeline.data.file_root import FileRoot
from pipeline.data.image_index import index_files
from pipeline.data.picture_copies import PictureCopies, find_copies

NAMES = ["a.jpg", "b.jpg", "c.png", "d.jpg", "e.jpg", "f.tiff"]


@pytest.fixture
def folder(tmp_path: Path, plant: Callable[[Path, Mapping[str, int]], Path]) -> Path:
    """Of one photograph a, its file b, its pixels c and f, and d, encoded again; another one e."""
    plant(tmp_path, {"ants": 2})
    one, other = sorted((tmp_path / "ants").iterdir())
    one.rename(tmp_path / "a.jpg")
    other.rename(tmp_path / "e.jpg")
    shutil.copy(tmp_path / "a.jpg", tmp_path / "b.jpg")
    with Image.open(tmp_path / "a.jpg") as image:
        image.save(tmp_path / "c.png")
        image.save(tmp_path / "d.jpg", quality=95)
        image.save(tmp_path / "f.tiff")
    return tmp_path


def copies_in(folder: Path) -> PictureCopies:
    files = index_files(FileRoot(folder), NAMES)
    return find_copies(FileRoot(folder), NAMES, files.digests, files.thumbnails)


def test_the_same_pixels_have_one_identity(folder: Path) -> None:
    copies = copies_in(folder)
    assert copies.images.tolist() == [0, 1, 2, 3, 5]
    assert copies.pictures.tolist() == [0, 0, 0, 0, 0]
    assert copies.identities.tolist() == [0, 0, 0, 3, 0]


def test_the_images_of_a_picture_are_a_group(folder: Path) -> None:
    groups = copies_in(folder).groups(len(NAMES)).tolist()
    assert len(set(groups)) == 2
    assert groups.count(groups[0]) == 5


def test_copies_are_searched_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = copies_in(folder)
    monkeypatch.setattr(duplicates, "find_duplicate_groups", None)
    again = copies_in(folder)
    np.testing.assert_array_equal(again.identities, first.identities)
    np.testing.assert_array_equal(again.images, first.images)


def test_other_files_are_searched_again(folder: Path) -> None:
    assert len(copies_in(folder).images) == 5
    shutil.copy(folder / "e.jpg", folder / "b.jpg")
    assert copies_in(folder).pictures.tolist() == [0, 0, 0, 0, 1, 1]


def test_a_file_that_was_removed_meanwhile_only_looks_the_same(folder: Path) -> None:
    files = index_files(FileRoot(folder), NAMES)
    (folder / "c.png").unlink()
    copies = find_copies(FileRoot(folder), NAMES, files.digests, files.thumbnails)
    assert copies.identities.tolist() == [0, 0, 2, 3, 0]
