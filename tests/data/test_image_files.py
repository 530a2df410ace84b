"""Images that stay in their files, and those that are kept once they are decoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.file_root import FileRoot
from pipeline.data.image_decoding import Decoding
from pipeline.data.image_files import ImageFiles, MemoizedImages, PixelMemory

DECODING = Decoding((8, 6), "crop")


@pytest.fixture
def files(tmp_path: Path, plant: Callable[[Path, Mapping[str, int]], Path]) -> ImageFiles:
    """Eight photographs."""
    plant(tmp_path, {"ants": 8})
    return ImageFiles(
        FileRoot(tmp_path), sorted(f"ants/{p.name}" for p in tmp_path.glob("*/*")), DECODING
    )


def test_an_image_is_decoded_when_it_is_first_read(
    files: ImageFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = files.read(np.arange(8))
    images = MemoizedImages(files, PixelMemory(8, DECODING.shape), np.arange(8))
    decoded: list[int] = []
    read = ImageFiles.read

    def record(self: ImageFiles, indices: np.ndarray) -> np.ndarray:
        decoded.extend(indices.tolist())
        return read(self, indices)

    monkeypatch.setattr(ImageFiles, "read", record)
    for indices in ([5, 2], [2, 3, 5], [*range(8)], [7, 0]):
        np.testing.assert_array_equal(images.read(np.array(indices)), expected[indices])
    assert decoded == [5, 2, 3, 0, 1, 4, 6, 7]


def test_splits_share_a_memory(files: ImageFiles) -> None:
    memory, numbers = PixelMemory(10, DECODING.shape), np.array([9, 1, 3])
    some = ImageFiles(files.root, files.names[:3], DECODING)
    images = MemoizedImages(some, memory, numbers)
    assert images.shape == (8, 6, 3)
    np.testing.assert_array_equal(images.read(np.arange(3)), files.read(np.arange(3)))
    assert np.flatnonzero(memory.is_kept(np.arange(10))).tolist() == [1, 3, 9]
    memory.keep(9, np.zeros(DECODING.shape, np.uint8))
    assert not images.read(np.array([0])).any()
