"""Directories of photographs."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.data import image_folder, image_index, image_loading
from pipeline.data.file_examination import ExaminedFile
from pipeline.data.image_decoding import Decoding, decode_image
from pipeline.data.image_files import ImageFiles, MemoizedImages
from pipeline.data.splits import Splits, UnreadableFile
from pipeline.errors import DataError

Plant = Callable[[Path, Mapping[str, int]], Path]
NO_IMAGE = "not an image, or of a format that is not supported"
TWO_SPLITS = {"train/ants": 4, "train/bees": 3, "val/ants": 2, "val/bees": 1}


def config_of(path: Path, **keys: Any) -> image_folder.ImageFolderConfig:
    return image_folder.ImageFolderConfig(
        **{"source": "image_folder", "path": str(path), "image_size": (16, 16), **keys}
    )


def load(path: Path, **keys: Any) -> Splits:
    return config_of(path, **keys).load()


def error_of(path: Path, **keys: Any) -> str:
    with pytest.raises(DataError) as caught:
        load(path, **keys)
    return str(caught.value)


def names_of(splits: Splits) -> dict[str, list[str]]:
    return {name: list(split.names) for name, split in splits.named().items()}


def counts_of(splits: Splits) -> dict[str, list[int]]:
    """Return how many images of each class each split has."""
    return {name: np.bincount(split.labels).tolist() for name, split in splits.named().items()}


# Splits


def test_split_directories_are_the_splits(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, {**TWO_SPLITS, "test/ants": 1, "test/bees": 2})
    splits = load(tmp_path)
    assert counts_of(splits) == {"train": [4, 3], "val": [2, 1], "test": [1, 2]}
    assert splits.class_names == ("ants", "bees")


@pytest.mark.parametrize("given", ["val", "test"])
def test_a_share_is_drawn_beside_directories_of_splits(
    tmp_path: Path, plant: Plant, given: str
) -> None:
    plant(tmp_path, {"train/ants": 20, "train/bees": 20, f"{given}/ants": 2, f"{given}/bees": 2})
    splits = load(tmp_path, validation=0.2, test=0.1)
    expected = {"train": [18, 18], "val": [2, 2], "test": [2, 2]}
    assert (
        counts_of(splits)
        == {
            "val": expected | {"train": [18, 18]},
            "test": expected | {"train": [16, 16], "val": [4, 4]},
        }[given]
    )


def test_a_directory_with_class_directories_is_split(tmp_path: Path, plant: Plant) -> None:
    splits = load(plant(tmp_path, {"ants": 20, "bees": 20}), validation=0.4, test=0.3)
    names = [name for split in names_of(splits).values() for name in split]
    assert counts_of(splits) == {"train": [6, 6], "val": [8, 8], "test": [6, 6]}
    assert len(names) == len(set(names)) == 40


def test_directories_of_splits_can_be_named(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path / "data", {"fold1/ants": 4, "fold1/bees": 3})
    plant(tmp_path / "other", {"ants": 2, "bees": 1})
    splits = load(tmp_path / "data", splits={"train": "fold1", "val": str(tmp_path / "other")})
    assert counts_of(splits) == {"train": [4, 3], "val": [2, 1]}
    assert splits.train.names[0].startswith("fold1/ants/")
    assert splits.named()["val"].names[0].startswith(f"{tmp_path}/other/ants/")


def test_the_photographs_of_ants_and_bees_are_read(photographs: Path) -> None:
    splits = load(photographs)
    assert counts_of(splits) == {"train": [124, 121], "val": [70, 83]}
    assert splits.quarantined == ()
    assert splits.duplicates == ()
    assert "train/ants/imageNotFound.gif" in splits.train.names


@pytest.fixture(scope="module")
def drawn(photographs: Path) -> Splits:
    return load(photographs / "train", validation=0.2, test=0.3)


def test_every_class_has_the_configured_fractions(drawn: Splits) -> None:
    assert counts_of(drawn) == {"train": [62, 60], "val": [25, 24], "test": [37, 37]}


def test_the_split_is_reproducible(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, {"ants": 24, "bees": 24})
    first, again = (load(tmp_path, validation=0.4, test=0.3) for _ in range(2))
    assert names_of(first) == names_of(again)


def test_another_split_seed_gives_another_split(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, {"ants": 24, "bees": 24})
    first, other = (load(tmp_path, validation=0.4, split_seed=seed) for seed in (0, 1))
    assert names_of(first) != names_of(other)


def test_the_split_does_not_depend_on_the_path_of_the_directory(
    tmp_path: Path, plant: Plant
) -> None:
    here, there = (plant(tmp_path / name, {"ants": 24, "bees": 24}) for name in ("a", "b"))
    one, other = (load(path, validation=0.4) for path in (here, there))
    assert names_of(one) == names_of(other)
    assert one.digest == other.digest


def test_files_with_one_name_in_many_directories_are_drawn_one_by_one(
    tmp_path: Path, small_photographs: dict[str, list[tuple[str, bytes]]]
) -> None:
    for name, photographs in small_photographs.items():
        for number, (_, data) in enumerate(photographs[:20]):
            path = tmp_path / name / f"patient{number:03}" / "scan.jpg"
            path.parent.mkdir(parents=True)
            path.write_bytes(data)
    assert counts_of(load(tmp_path, validation=0.2)) == {"train": [16, 16], "val": [4, 4]}


@pytest.mark.parametrize("group_by", [{"level": 1}, {"pattern": r"^patient(\d+)/"}])
def test_files_of_a_group_are_in_one_split(
    tmp_path: Path,
    small_photographs: dict[str, list[tuple[str, bytes]]],
    group_by: dict[str, Any],
) -> None:
    for name, photographs in small_photographs.items():
        for number, (file, data) in enumerate(photographs):
            path = tmp_path / name / f"patient{number % 12}" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    splits = load(tmp_path, validation=0.25, group_by=group_by)
    assert counts_of(splits) == {"train": [18, 18], "val": [6, 6]}
    train, val = (
        {name.split("/")[1] for name in split.names}
        for split in (splits.train, splits.named()["val"])
    )
    assert not train & val


def test_copies_of_a_picture_are_drawn_into_one_split(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, {"ants": 20, "bees": 20})
    originals = sorted(tmp_path.glob("*/*.jpg"))
    for path in originals:
        with Image.open(path) as image:
            image.resize((80, 80)).save(path.with_name(f"copy of {path.name}"), quality=95)
    splits = load(tmp_path, validation=0.25, leakage="error")
    assert counts_of(splits) == {"train": [30, 30], "val": [10, 10]}
    val = {Path(name).name for name in splits.named()["val"].names}
    assert {name.removeprefix("copy of ") for name in val} == {
        name for name in val if not name.startswith("copy of ")
    }


def test_a_class_with_too_few_images_for_a_drawn_split_is_a_warning(
    tmp_path: Path, plant: Plant, messages: list[str]
) -> None:
    plant(tmp_path, {"ants": 11, "bees": 10})
    (tmp_path / "wasps").mkdir()
    next((tmp_path / "ants").iterdir()).rename(tmp_path / "wasps" / "1.jpg")
    assert counts_of(load(tmp_path))["train"] == [8, 8, 1]
    assert messages[-1] == (
        f"WARNING: The val split of {tmp_path} has no images of wasps: they have too few images, "
        "or too few groups of images that belong together. Averages over classes leave them out."
    )


# What is found


@pytest.mark.parametrize(
    ("keys", "drawn"),
    [({}, ""), ({"test": 0.25}, "; drawn: 0.25 of train as test")],
)
def test_what_is_found_is_said_in_one_line(
    tmp_path: Path, plant: Plant, keys: dict[str, Any], drawn: str
) -> None:
    plant(tmp_path, {**TWO_SPLITS, "unlabelled": 1})
    for name in ("train/ants/.DS_Store", "train/1.jpg", "README.txt", ".git"):
        (tmp_path / name).touch()
    assert config_of(tmp_path, **keys).describe_files() == (
        f"Found 10 files of 2 classes (ants, bees) in {tmp_path} (layout split/class): train 7, "
        f"val 3{drawn}. Ignored: unlabelled/ (images without classes), 2 files beside the "
        "directories of the classes, 1 hidden file."
    )


def test_of_many_classes_the_first_are_named(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, {f"class {number}": 1 for number in range(8)})
    assert config_of(tmp_path).describe_files() == (
        "Found 8 files of 8 classes (class 0, class 1, class 2, class 3, class 4 and 3 more) in "
        f"{tmp_path} (layout class): train 8; drawn: 0.2 of train as val."
    )


# Problems that a look at the directory reveals


def problems_of(path: Path, **keys: Any) -> list[Any]:
    return list(config_of(path, **keys).problems())


def test_shares_that_leave_nothing_to_train_on_are_a_problem(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, TWO_SPLITS)
    assert problems_of(tmp_path, validation=0.5, test=0.5) == [
        (
            ("validation",),
            "expected less than 1 for the sum of validation and test. Received 0.5 + 0.5.",
        )
    ]


def test_shares_of_zero_leave_every_image_to_training(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, {"ants": 6, "bees": 4})
    splits = load(tmp_path, validation=0.0)
    assert splits.validation is splits.test is None
    assert counts_of(splits) == {"train": [6, 4]}
    assert splits.verification == ("train", splits.train)


def test_a_given_validation_split_is_used_although_none_is_drawn(
    tmp_path: Path, plant: Plant
) -> None:
    plant(tmp_path, TWO_SPLITS)
    config = config_of(tmp_path, validation=0.0)
    assert counts_of(config.load())["val"] == [2, 1]
    assert list(config.warnings()) == [
        (("validation",), "has no effect: the data has its own val split.")
    ]


def test_a_given_validation_split_without_a_readable_image_is_an_error(
    tmp_path: Path, plant: Plant
) -> None:
    plant(tmp_path, TWO_SPLITS)
    for file in (tmp_path / "val").glob("*/*"):
        file.write_bytes(b"\xff\xd8\xff damaged")
    with pytest.raises(DataError) as caught:
        load(tmp_path, validation=0.0)
    assert str(caught.value) == (
        f"data.path: the val split of {tmp_path} has no images of ants, bees. Add images."
    )


def test_a_drawn_split_without_an_image_is_an_error(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, {"ants": 1, "bees": 1})
    for original in list(tmp_path.glob("*/*")):
        for number in range(5):
            shutil.copy(original, original.with_name(f"copy{number}.jpg"))
    assert error_of(tmp_path) == (
        f"data.path: the val split of {tmp_path}, which is drawn from the training images, is "
        "empty: there are too few images, or too few groups of images that belong together, such "
        "as copies of one picture. Add images, or set data.validation to 0."
    )
    assert counts_of(load(tmp_path, validation=0.0)) == {"train": [6, 6]}


def test_a_share_without_effect_is_a_warning(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, {**TWO_SPLITS, "test/ants": 1, "test/bees": 1})
    assert list(config_of(tmp_path, validation=0.3, test=0.1).warnings()) == [
        (("validation",), "has no effect: the data has its own val split."),
        (("test",), "has no effect: the data has its own test split."),
    ]
    assert list(config_of(tmp_path).warnings()) == []


def test_files_without_a_group_are_a_problem(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, {"ants": 4, "bees/hive": 1})
    names = sorted(path.name for path in (tmp_path / "ants").iterdir())[:3]
    assert problems_of(tmp_path, group_by={"level": 1}) == [
        (
            ("group_by",),
            "below the directory of their class, no directory at level 1 is above 4 of 5 files: "
            f"{', '.join(names)} and 1 more.",
        )
    ]


# Classes


def test_labels_follow_the_sorted_directory_names(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, {"train/wasps": 1, "train/ants": 2, "train/bees": 3})
    plant(tmp_path, {"val/bees": 1, "val/wasps": 1, "val/ants": 1})
    splits = load(tmp_path)
    assert splits.class_names == ("ants", "bees", "wasps")
    assert counts_of(splits)["train"] == [2, 3, 1]


def test_every_path_has_the_label_of_its_directory_and_its_own_pixels(
    tmp_path: Path, plant: Plant
) -> None:
    splits = load(plant(tmp_path, {"ants": 24, "bees": 24}), validation=0.4, test=0.3)
    for split in splits.named().values():
        pixels = split.images.read(np.arange(len(split)))
        for name, label, image in zip(split.names, split.labels, pixels, strict=True):
            assert name.split("/")[0] == splits.class_names[label]
            data = (tmp_path / name).read_bytes()
            np.testing.assert_array_equal(image, decode_image(data, Decoding((16, 16), "crop")))


def test_the_class_names_are_known_without_reading_images(tmp_path: Path, plant: Plant) -> None:
    assert config_of(tmp_path / "absent").class_names() is None
    assert config_of(plant(tmp_path / "a", TWO_SPLITS)).class_names() == ("ants", "bees")
    one_each = plant(tmp_path / "b", {"bees": 1, "ants": 1})
    assert config_of(one_each).class_names() == ("ants", "bees")


@pytest.mark.parametrize("empty", ["train", "val"])
def test_a_class_without_an_image_is_an_error(tmp_path: Path, plant: Plant, empty: str) -> None:
    plant(tmp_path, {**TWO_SPLITS, f"{empty}/ants": 0})
    for path in (tmp_path / empty / "ants").iterdir():
        path.unlink()
    assert error_of(tmp_path) == (
        f"data.path: the {empty} split of {tmp_path} has no images of ants. Add images."
    )


def test_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "absent"
    assert error_of(path) == f"data.path: the directory {path} does not exist."


def test_a_missing_directory_is_downloaded(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path / "packed", TWO_SPLITS)
    archive = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", tmp_path / "packed"))
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    download = {"url": archive.as_uri(), "sha256": sha256}
    splits = load(tmp_path / "data", download=download)
    archive.unlink()
    assert names_of(splits) == names_of(load(tmp_path / "data", download=download))


# Contents of a directory


def test_images_in_subdirectories_of_a_class_belong_to_it(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, TWO_SPLITS)
    nested = tmp_path / "train" / "ants" / "red" / "small"
    nested.mkdir(parents=True)
    shutil.copy(next((tmp_path / "train" / "ants").glob("*.jpg")), nested / "ant.jpg")
    train = load(tmp_path).train
    assert train.labels[train.names.index("train/ants/red/small/ant.jpg")] == 0


@pytest.mark.parametrize(
    "name",
    [
        ".hidden.jpg",
        "._photo.jpg",
        "Thumbs.db",
        "notes.txt",
        "photo.jpg.part",
        "jpg",
        ".hidden/photo.jpg",
    ],
)
def test_hidden_files_and_other_suffixes_are_ignored(
    tmp_path: Path, plant: Plant, name: str
) -> None:
    before = load(plant(tmp_path, TWO_SPLITS))
    path = tmp_path / "train" / "ants" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"no image")
    after = load(tmp_path)
    assert (names_of(after), after.quarantined) == (names_of(before), ())


def test_files_that_are_no_images_are_counted_by_suffix(
    tmp_path: Path, plant: Plant, messages: list[str]
) -> None:
    plant(tmp_path, TWO_SPLITS)
    for name in ("notes.txt", "more.TXT", "LICENSE"):
        (tmp_path / "train" / "ants" / name).write_text("six legs")
    assert load(tmp_path, max_bad=0).ignored == {".txt": 2, "": 1}
    assert messages[-1] == "Ignored files that are not images: 2 .txt, 1 without a suffix"


def test_images_of_any_suffix_are_read(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, TWO_SPLITS)
    first, second, third = sorted((tmp_path / "train" / "ants").iterdir())[:3]
    first.rename(first.with_suffix(""))
    second.rename(second.with_suffix(".dat"))
    with Image.open(third) as image:
        image.save(third.with_suffix(".tiff"))
    third.unlink()
    splits = load(tmp_path)
    assert (counts_of(splits)["train"], splits.ignored) == ([4, 3], {})


def test_images_can_be_read_as_grayscale(tmp_path: Path, plant: Plant) -> None:
    train = load(plant(tmp_path, TWO_SPLITS), channels=1).train
    assert train.images.shape == (16, 16, 1)
    data = (tmp_path / train.names[0]).read_bytes()
    expected = decode_image(data, Decoding((16, 16), "crop", channels=1))
    np.testing.assert_array_equal(train.images.read(np.arange(1))[0], expected)
    assert train.digest != load(tmp_path).train.digest


@pytest.mark.parametrize("name", [".git", "__MACOSX", ".ipynb_checkpoints"])
def test_a_hidden_directory_is_not_a_class(tmp_path: Path, plant: Plant, name: str) -> None:
    plant(tmp_path, {**TWO_SPLITS, f"train/{name}": 2, name: 1})
    assert load(tmp_path).class_names == ("ants", "bees")


@pytest.mark.parametrize(
    "name",
    [
        "two words.jpg",
        "🐜.jpg",
        "two\nlines.jpg",
        "UPPER.JPG",
        "a.b.jpeg",
        "100%.jpg",
        os.fsdecode(b"f\xfcnf.jpg"),
    ],
    ids=["spaces", "emoji", "newline", "upper case", "dots", "percent", "latin-1"],
)
def test_an_image_may_have_any_name(tmp_path: Path, plant: Plant, name: str) -> None:
    plant(tmp_path, TWO_SPLITS)
    source = next((tmp_path / "train" / "ants").glob("*.jpg"))
    source.rename(source.with_name(name))
    splits = load(tmp_path)
    assert f"train/ants/{name}" in splits.train.names
    assert counts_of(splits)["train"] == [4, 3]


@pytest.mark.parametrize("name", ["red ants", "🐜", os.fsdecode(b"f\xfcnf")])
def test_a_class_may_have_any_name(tmp_path: Path, plant: Plant, name: str) -> None:
    splits = load(plant(tmp_path, {name: 24, "bees": 24}), validation=0.4)
    assert set(splits.class_names) == {"bees", name}


@pytest.mark.parametrize("target", [".", "..", "../.."])
def test_a_cycle_of_links_is_visited_once(tmp_path: Path, plant: Plant, target: str) -> None:
    before = load(plant(tmp_path, TWO_SPLITS))
    (tmp_path / "train" / "ants" / "circle").symlink_to(target, target_is_directory=True)
    assert names_of(load(tmp_path)) == names_of(before)


def test_a_class_may_be_a_link(tmp_path: Path, plant: Plant) -> None:
    before = load(plant(tmp_path / "real", TWO_SPLITS))
    for split in ("train", "val"):
        (tmp_path / "links" / split).mkdir(parents=True)
        for name in ("ants", "bees"):
            (tmp_path / "links" / split / name).symlink_to(tmp_path / "real" / split / name)
    assert names_of(load(tmp_path / "links")) == names_of(before)


# Broken files


@pytest.fixture
def broken(tmp_path: Path, plant: Plant) -> Path:
    """TWO_SPLITS with three broken files in train."""
    plant(tmp_path, TWO_SPLITS)
    ants = tmp_path / "train" / "ants"
    (ants / "a_empty.jpg").write_bytes(b"")
    (ants / "z_text.jpg").write_text("no image")
    (tmp_path / "train" / "bees" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    return tmp_path


def test_broken_files_are_named_with_the_reason(broken: Path) -> None:
    assert load(broken).quarantined == (
        UnreadableFile("train/ants/a_empty.jpg", "the file is empty"),
        UnreadableFile("train/ants/z_text.jpg", NO_IMAGE),
        UnreadableFile("train/bees/gone.jpg", "No such file or directory"),
    )


def test_broken_files_are_in_no_split(broken: Path) -> None:
    splits = load(broken)
    names = {name for split in names_of(splits).values() for name in split}
    assert not names & {file.name for file in splits.quarantined}
    assert counts_of(splits) == {"train": [4, 3], "val": [2, 1]}


@pytest.mark.parametrize("max_bytes", [0, 2**30], ids=["in files", "in memory"])
def test_the_images_next_to_broken_ones_keep_their_labels_and_pixels(
    broken: Path, monkeypatch: pytest.MonkeyPatch, max_bytes: int
) -> None:
    monkeypatch.setattr(image_loading, "MAX_BYTES_IN_MEMORY", max_bytes)
    train = load(broken).train
    for number, name in enumerate(train.names):
        expected = decode_image((broken / name).read_bytes(), Decoding((16, 16), "crop"))
        np.testing.assert_array_equal(train.images.read(np.array([number]))[0], expected)
        assert ("ants", "bees")[train.labels[number]] in name


def test_broken_files_do_not_change_the_digest(tmp_path: Path, plant: Plant, broken: Path) -> None:
    assert load(broken).digest == load(plant(tmp_path / "whole", TWO_SPLITS)).digest


def test_reading_and_skipped_files_are_logged(broken: Path, messages: list[str]) -> None:
    load(broken)
    assert messages == [
        f"Found 13 files of 2 classes (ants, bees) in {broken} (layout split/class): train 10, "
        "val 3.",
        f"Reading 13 new or changed files in {broken}",
        "WARNING: Skipped train/ants/a_empty.jpg: the file is empty",
        f"WARNING: Skipped train/ants/z_text.jpg: {NO_IMAGE}",
        "WARNING: Skipped train/bees/gone.jpg: No such file or directory",
    ]


def add_broken(root: Path, count: int) -> None:
    for number in range(count):
        (root / "train" / "ants" / f"bad{number:02}.jpg").write_bytes(b"")


def test_five_broken_files_are_allowed_unless_max_bad_is_set(tmp_path: Path, plant: Plant) -> None:
    add_broken(plant(tmp_path, TWO_SPLITS), 5)
    assert len(load(tmp_path).quarantined) == 5
    assert error_of(tmp_path, max_bad=0.3).startswith("5 of the 15 files in ")


def test_with_max_bad_0_no_broken_file_is_allowed(tmp_path: Path, plant: Plant) -> None:
    add_broken(plant(tmp_path, TWO_SPLITS), 1)
    assert error_of(tmp_path, max_bad=0) == (
        f"1 of the 11 files in {tmp_path} cannot be decoded; data.max_bad allows 0. Repair or "
        "remove it, or increase data.max_bad:\n  train/ants/bad00.jpg: the file is empty"
    )


def test_more_broken_files_than_allowed_are_an_error_that_lists_them(
    tmp_path: Path, plant: Plant
) -> None:
    add_broken(plant(tmp_path, TWO_SPLITS), 6)
    listed = "\n".join(f"  train/ants/bad0{number}.jpg: the file is empty" for number in range(6))
    assert error_of(tmp_path) == (
        f"6 of the 16 files in {tmp_path} cannot be decoded; data.max_bad allows 5. "
        f"Repair or remove them, or increase data.max_bad:\n{listed}"
    )


def test_a_list_of_broken_files_ends_after_fifty(tmp_path: Path, plant: Plant) -> None:
    add_broken(plant(tmp_path, TWO_SPLITS), 53)
    lines = error_of(tmp_path, max_bad=0.5).splitlines()
    assert lines[0].startswith(f"53 of the 63 files in {tmp_path} cannot be decoded; data.max_bad ")
    assert lines[0].endswith("allows 31. Repair or remove them, or increase data.max_bad:")
    assert len(lines) == 52
    assert lines[-1] == "  and 3 more"


def test_max_bad_is_the_fraction_that_is_allowed(tmp_path: Path, plant: Plant) -> None:
    add_broken(plant(tmp_path, TWO_SPLITS), 10)
    assert len(load(tmp_path, max_bad=0.5).quarantined) == 10


def test_a_class_of_broken_files_alone_is_an_error(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, TWO_SPLITS)
    for path in (tmp_path / "val" / "bees").iterdir():
        path.write_bytes(b"")
    assert error_of(tmp_path).startswith(
        f"data.path: the val split of {tmp_path} has no images of bees."
    )


# Duplicates


@pytest.fixture
def leaking(tmp_path: Path, plant: Plant) -> tuple[Path, Path, Path]:
    """TWO_SPLITS with one photograph of train re-encoded in val; and both paths."""
    original = min((plant(tmp_path, TWO_SPLITS) / "train" / "bees").glob("*.jpg"))
    copy = tmp_path / "val" / "bees" / "a_copy.jpg"
    with Image.open(original) as image:
        image.save(copy, quality=85)
    return tmp_path, original, copy


def test_a_photograph_in_two_splits_is_a_warning_that_names_both(
    leaking: tuple[Path, Path, Path], messages: list[str]
) -> None:
    root, original, copy = leaking
    splits = load(root)
    assert messages[2:] == [
        "WARNING: 1 picture seems to be in more than one split, which would make the metrics too "
        f"good. If these are copies, keep one of each:\n  train/bees/{original.name} = "
        "val/bees/a_copy.jpg (look the same)"
    ]
    assert splits.duplicates is not None
    ((one, other),) = splits.duplicates
    assert (one.split, one.name) == ("train", f"train/bees/{original.name}")
    assert one.digest == hashlib.sha256(original.read_bytes()).hexdigest()
    assert (other.split, other.index) == ("val", splits.named()["val"].names.index(other.name))
    assert other.digest == hashlib.sha256(copy.read_bytes()).hexdigest()
    assert splits.leaked_indices("val") == [other.index]
    assert splits.leaked_indices("train") == []


@pytest.mark.parametrize(("suffix", "kind"), [(".jpg", "same file"), (".png", "same pixels")])
def test_the_same_pixels_in_two_splits_can_be_an_error(
    leaking: tuple[Path, Path, Path], suffix: str, kind: str
) -> None:
    root, original, copy = leaking
    copy.unlink()
    copy = copy.with_suffix(suffix)
    if kind == "same file":
        shutil.copy(original, copy)
    else:
        with Image.open(original) as image:
            image.save(copy)
    assert error_of(root, leakage="error") == (
        "data.leakage: 1 picture is in more than one split, which makes the metrics too good. "
        f"Keep one copy of each:\n  train/bees/{original.name} = val/bees/{copy.name} ({kind})"
    )


def test_a_photograph_that_looks_like_another_is_no_error(leaking: tuple[Path, Path, Path]) -> None:
    assert len(load(leaking[0], leakage="error").duplicates or ()) == 1


def test_a_copy_within_a_split_is_not_leakage(
    tmp_path: Path, plant: Plant, messages: list[str]
) -> None:
    original = min((plant(tmp_path, TWO_SPLITS) / "train" / "bees").glob("*.jpg"))
    shutil.copy(original, tmp_path / "train" / "bees" / "a_copy.jpg")
    splits = load(tmp_path, leakage="error")
    assert messages[2:] == [
        f"1 picture is repeated in a class:\n  train/bees/{original.name} = "
        "train/bees/a_copy.jpg (same file)"
    ]
    assert splits.leaked_indices("train") == splits.leaked_indices("val") == []


def test_broken_files_are_not_duplicates_and_shift_no_index(
    leaking: tuple[Path, Path, Path],
) -> None:
    root, original, copy = leaking
    for name in ("train/ants/0.jpg", "train/bees/0.jpg", "val/bees/0.jpg"):
        (root / name).write_bytes(b"")
    ((one, other),) = load(root).duplicates or ()
    assert (root / one.name, root / other.name) == (original, copy)


# Digest


def test_the_digest_is_the_same_for_the_same_files(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, TWO_SPLITS)
    assert load(tmp_path).digest == load(tmp_path).digest


def test_the_digest_changes_with_a_file_s_bytes(tmp_path: Path, plant: Plant) -> None:
    before = load(plant(tmp_path, TWO_SPLITS)).digest
    path = next((tmp_path / "val" / "ants").glob("*.jpg"))
    path.write_bytes(path.read_bytes() + b"\0")
    assert load(tmp_path).digest != before


def test_the_digest_changes_with_a_label(tmp_path: Path, plant: Plant) -> None:
    before = load(plant(tmp_path, TWO_SPLITS)).digest
    path = next((tmp_path / "train" / "ants").glob("*.jpg"))
    path.rename(tmp_path / "train" / "bees" / path.name)
    assert load(tmp_path).digest != before


def test_the_digest_changes_when_an_image_moves_to_another_split(
    tmp_path: Path, plant: Plant
) -> None:
    before = load(plant(tmp_path, TWO_SPLITS)).digest
    path = next((tmp_path / "train" / "ants").glob("*.jpg"))
    path.rename(tmp_path / "val" / "ants" / path.name)
    assert load(tmp_path).digest != before


# In memory or in files


def test_few_images_are_in_memory_once_they_are_decoded(
    tmp_path: Path, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = load(plant(tmp_path, TWO_SPLITS)).train
    assert isinstance(train.images, MemoizedImages)
    monkeypatch.setattr(ImageFiles, "read", None)
    assert train.images.read(np.arange(len(train))).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("resize", ["crop", "pad", "squash"])
def test_many_images_are_read_from_files_with_the_same_pixels(
    tmp_path: Path, plant: Plant, monkeypatch: pytest.MonkeyPatch, resize: str
) -> None:
    in_memory = load(plant(tmp_path, TWO_SPLITS), resize=resize)
    monkeypatch.setattr(image_loading, "MAX_BYTES_IN_MEMORY", 0)
    from_files = load(tmp_path, resize=resize)
    assert isinstance(from_files.train.images, ImageFiles)
    assert from_files.input_shape == in_memory.input_shape == (16, 16, 3)
    assert from_files.digest == in_memory.digest
    for name, split in in_memory.named().items():
        numbers = np.arange(len(split))[::-1]
        np.testing.assert_array_equal(
            from_files.named()[name].images.read(numbers), split.images.read(numbers)
        )


def test_many_images_are_not_decoded_to_pixels_before_they_are_needed(
    tmp_path: Path, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_loading, "MAX_BYTES_IN_MEMORY", 0)
    decodings: list[object] = []
    examine = image_index.examine_file

    def record(path: str, decoding: Decoding | None, *arguments: Any) -> ExaminedFile:
        decodings.append(decoding)
        return examine(path, decoding, *arguments)

    monkeypatch.setattr(image_index, "examine_file", record)
    load(plant(tmp_path, TWO_SPLITS))
    assert decodings == [None] * 10


def test_a_file_that_vanishes_during_the_run_is_an_error(
    tmp_path: Path, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_loading, "MAX_BYTES_IN_MEMORY", 0)
    train = load(plant(tmp_path, TWO_SPLITS)).train
    path = tmp_path / train.names[1]
    path.unlink()
    assert train.images.read(np.array([0])).shape == (1, 16, 16, 3)
    with pytest.raises(DataError) as caught:
        train.images.read(np.array([0, 1]))
    assert str(caught.value) == f"{path} was changed during the run: No such file or directory."


def test_no_two_images_share_a_name(drawn: Splits) -> None:
    counts = Counter(name for split in names_of(drawn).values() for name in split)
    assert set(counts.values()) == {1}


def test_the_names_of_splits_may_be_capitalized(
    small_photographs: dict[str, list[tuple[str, bytes]]], tmp_path: Path
) -> None:
    for split in ("Train", "Val"):
        for name, files in small_photographs.items():
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            (folder / files[0][0]).write_bytes(files[0][1])
    assert load(tmp_path).class_names == ("ants", "bees")


def test_images_without_classes_can_be_reconstructed(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, {"shoot": 10})
    splits = load(tmp_path, task="reconstruction")
    assert splits.class_names == ("images",)
    assert sum(map(len, splits.named().values())) == 10
    description = config_of(tmp_path, task="reconstruction").describe_files()
    assert description is not None
    assert description.startswith(f"Found 10 files in {tmp_path} (layout unlabelled): train 10")
    assert "expected subdirectories for two or more classes" in error_of(tmp_path)
