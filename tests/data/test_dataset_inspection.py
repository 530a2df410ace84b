"""What the files of a data set are."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data.dataset_inspection import inspect_listing, inspect_splits
from pipeline.data.dataset_statistics import Copies, DatasetStatistics
from pipeline.data.digits import DigitsConfig
from pipeline.data.file_root import FileRoot
from pipeline.data.listing import SPLITS, Listing
from pipeline.data.splits import UnreadableFile

Plant = Callable[[Path, Mapping[str, int]], Path]


def inspected(root: Path) -> DatasetStatistics:
    """Inspect the files below train/ and val/, with a directory for each class."""
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    parts = [Path(name).parts for name in names]
    classes = tuple(sorted({class_name for _, class_name, *_ in parts}))
    listing = Listing(
        root=FileRoot(root),
        names=names,
        class_names=classes,
        labels=np.array([classes.index(class_name) for _, class_name, *_ in parts], np.int32),
        splits=np.array([SPLITS.index(split) for split, *_ in parts], np.int8),
        keys=["/".join(rest) for _, _, *rest in parts],
        groups=None,
    )
    return inspect_listing(listing, fractions={}, split_seed=0).statistics


@pytest.fixture
def insects(tmp_path: Path, plant: Plant) -> Path:
    counts = {"train/ants": 6, "train/bees": 4, "val/ants": 2, "val/bees": 2}
    return plant(tmp_path / "insects", counts)


def test_images_are_counted_and_measured(insects: Path) -> None:
    statistics = inspected(insects)
    assert statistics.class_names == ("ants", "bees")
    assert statistics.counts == {"train": (6, 4), "val": (2, 2)}
    assert statistics.formats == {"JPEG": 14}
    assert statistics.modes == {"RGB": 14}
    assert (statistics.gray, statistics.bits, statistics.sample_range) == (0.0, 8, None)
    assert statistics.sizes
    assert statistics.sizes.longer_side.highest == 40
    assert (statistics.unreadable, statistics.ignored, statistics.copies) == ((), {}, ())


def test_damaged_files_and_others_are_told_apart(insects: Path) -> None:
    (insects / "train/ants/empty.jpg").touch()
    (insects / "train/ants/notes.txt").write_text("ants")
    (insects / "train/bees/LICENSE").write_text("free")
    statistics = inspected(insects)
    assert statistics.unreadable == (UnreadableFile("train/ants/empty.jpg", "the file is empty"),)
    assert statistics.ignored == {".txt": 1, "": 1}
    assert statistics.counts["train"] == (6, 4)


def test_copies_are_facts_or_guesses(insects: Path) -> None:
    first, second, third = sorted((insects / "train/ants").iterdir())[:3]
    shutil.copy(first, insects / "val/ants/copy.jpg")
    with Image.open(second) as image:
        image.save(insects / "train/bees/pixels.png")
        image.load()
    with Image.open(third) as image:
        image.resize((160, 120)).save(insects / "train/ants/larger.png")
    names = [f"train/ants/{path.name}" for path in (first, second, third)]
    assert inspected(insects).copies == (
        Copies("same file", (names[0], "val/ants/copy.jpg"), ("train", "val"), ("ants", "ants")),
        Copies(
            "same pixels", (names[1], "train/bees/pixels.png"), ("train",) * 2, ("ants", "bees")
        ),
        Copies(
            "looks the same", (names[2], "train/ants/larger.png"), ("train",) * 2, ("ants",) * 2
        ),
    )


def test_gray_images_are_found_whatever_their_mode(insects: Path) -> None:
    for path in sorted(insects.rglob("*.jpg"))[:7]:
        with Image.open(path) as image:
            image.convert("L").convert("RGB").save(path)
    statistics = inspected(insects)
    assert statistics.modes == {"RGB": 14}
    assert statistics.gray == 0.5


def test_samples_of_16_bits_have_a_range(tmp_path: Path) -> None:
    for name, value in (("ants", 70), ("bees", 4000)):
        (tmp_path / "train" / name).mkdir(parents=True)
        samples = np.linspace(value, value + 95, 96, dtype=np.uint16).reshape(8, 12)
        Image.fromarray(samples).save(tmp_path / "train" / name / "a.tif")
    statistics = inspected(tmp_path)
    assert (statistics.bits, statistics.sample_range) == (16, (70.0, 4095.0))
    assert statistics.formats == {"TIFF": 2}
    assert statistics.modes == {"I;16": 2}


def test_no_image_at_all_has_statistics_too(tmp_path: Path) -> None:
    (tmp_path / "train" / "ants").mkdir(parents=True)
    (tmp_path / "train" / "ants" / "notes.txt").touch()
    statistics = inspected(tmp_path)
    assert (statistics.images, statistics.sizes, statistics.counts) == (0, None, {})
    assert statistics.ignored == {".txt": 1}


def test_images_in_memory_are_measured() -> None:
    statistics = inspect_splits(DigitsConfig(source="digits", image_size=(8, 8)).load())
    assert statistics.images == 1797
    assert statistics.given == ("train", "val", "test")
    assert statistics.gray == 1.0
    assert statistics.sizes
    assert statistics.sizes.most_common == (8, 8)
