"""The layouts of image directories that docs/data_layouts.md lists, and those that are errors."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.directory_layout import DirectoryLayout, find_layout, find_unlabelled
from pipeline.data.file_walk import walk_files
from pipeline.errors import DataError

PAGE = Path(__file__).parents[2] / "docs" / "data_layouts.md"

Expected = dict[str, dict[str, int]]
DRAWN = "drawn"


def of_two(*splits: str, names: tuple[str, str] = ("ants", "bees")) -> Expected:
    return {split: dict.fromkeys(names, 1) for split in splits}


# By the row of the table: files, layout, images of each class in each split, ignored directories.
LAYOUTS: dict[str, tuple[str, str, Expected, list[str]]] = {
    "a directory per class": ("ants/1.jpg bees/1.jpg", "class", of_two(DRAWN), []),
    "directories inside a class": (
        "ants/red/1.jpg ants/black/2.jpg bees/1.jpg",
        "class",
        {DRAWN: {"ants": 2, "bees": 1}},
        [],
    ),
    "the same numbered directories in each class": (
        "ants/patient1/1.jpg ants/patient2/1.jpg bees/patient1/1.jpg bees/patient2/1.jpg",
        "class",
        {DRAWN: {"ants": 2, "bees": 2}},
        [],
    ),
    "train, val and test": (
        "train/ants/1.jpg train/bees/1.jpg val/ants/2.jpg val/bees/2.jpg test/ants/3.jpg "
        "test/bees/3.jpg",
        "split/class",
        of_two("train", "val", "test"),
        [],
    ),
    "train, valid and test of Roboflow and Ultralytics": (
        "README.roboflow.txt train/ants/a_jpg.rf.1.jpg train/bees/1.jpg valid/ants/2.jpg "
        "valid/bees/2.jpg test/ants/3.jpg test/bees/3.jpg",
        "split/class",
        of_two("train", "val", "test"),
        [],
    ),
    "Training and Testing": (
        "Training/glioma/1.jpg Training/no%20tumor/1.jpg "
        "Testing/glioma/2.jpg Testing/no%20tumor/2.jpg",
        "split/class",
        of_two("train", "test", names=("glioma", "no tumor")),
        [],
    ),
    "train only": ("train/ants/1.jpg train/bees/1.jpg", "split/class", of_two("train"), []),
    "train_images, test set": (
        "train_images/ants/1.jpg train_images/bees/1.jpg "
        "test%20set/ants/2.jpg test%20set/bees/2.jpg",
        "split/class",
        of_two("train", "test"),
        [],
    ),
    "cars_train and cars_test": (
        "cars_train/ants/1.jpg cars_train/bees/1.jpg cars_test/ants/2.jpg cars_test/bees/2.jpg",
        "split/class",
        of_two("train", "test"),
        [],
    ),
    "splits in directories of the same name": (
        "seg_train/seg_train/ants/1.jpg seg_train/seg_train/bees/1.jpg "
        "seg_test/seg_test/ants/1.jpg seg_test/seg_test/bees/1.jpg seg_pred/seg_pred/1.jpg",
        "split/class",
        of_two("train", "test"),
        ["seg_pred/ (images without classes)"],
    ),
    "train and unlabelled": (
        "train/ants/1.jpg train/bees/1.jpg unlabelled/1.jpg",
        "split/class",
        of_two("train"),
        ["unlabelled/ (images without classes)"],
    ),
    "a directory per class and unlabelled": (
        "ants/1.jpg bees/1.jpg unlabeled/1.jpg",
        "class",
        of_two(DRAWN),
        ["unlabeled/ (images without classes)"],
    ),
    "test without classes": (
        "train/ants/1.jpg train/bees/1.jpg val/ants/2.jpg val/bees/2.jpg test/3.jpg",
        "split/class",
        of_two("train", "val"),
        ["test/ (images without classes, for pipeline predict)"],
    ),
    "test with one directory that is no class": (
        "train/ants/1.jpg train/bees/1.jpg test/unknown/3.jpg",
        "split/class",
        of_two("train"),
        ["test/ (images without classes, for pipeline predict)"],
    ),
    "splits inside each class": (
        "ants/train/1.jpg ants/val/2.jpg bees/train/1.jpg bees/val/2.jpg",
        "class/split",
        of_two("train", "val"),
        [],
    ),
    "a directory around everything": (
        "photos-main/data/train/ants/1.jpg photos-main/data/train/bees/1.jpg __MACOSX/x/._1.jpg",
        "split/class",
        of_two("train"),
        [],
    ),
    "images beside other directories": (
        "birds/images/001.Black_footed_Albatross/1.jpg birds/images/002.Laysan_Albatross/1.jpg "
        "birds/attributes/attributes.txt birds/parts/part_locs.txt birds/classes.txt",
        "class",
        of_two(DRAWN, names=("001.Black_footed_Albatross", "002.Laysan_Albatross")),
        [],
    ),
    "the archive once more inside": (
        "chest/train/ants/1.jpg chest/train/bees/1.jpg train/ants/1.jpg train/bees/1.jpg "
        "test/ants/1.jpg test/bees/1.jpg",
        "split/class",
        of_two("train", "test"),
        ["chest/ (neither a split nor a class)"],
    ),
    "background classes": (
        "__background__/1.jpg BACKGROUND_Google/1.jpg",
        "class",
        of_two(DRAWN, names=("BACKGROUND_Google", "__background__")),
        [],
    ),
    "classes that are called like splits": (
        "train/1.jpg plane/1.jpg",
        "class",
        of_two(DRAWN, names=("plane", "train")),
        [],
    ),
    "hidden files and those of systems": (
        ".git/1.jpg ants/1.jpg ants/.DS_Store ants/Thumbs.db bees/1.jpg bees/desktop.ini "
        "__MACOSX/ants/1.jpg .ipynb_checkpoints/1.jpg @eaDir/1.jpg",
        "class",
        of_two(DRAWN),
        [],
    ),
    "directories without images": (
        "ants/1.jpg bees/1.jpg notes/about.txt",
        "class",
        of_two(DRAWN),
        ["notes/ (no images)"],
    ),
}


def plant(root: Path, files: str) -> Path:
    """Create empty files; spaces separate their paths, and %20 is a space in one of them."""
    for name in files.split():
        path = root / name.replace("%20", " ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def images_of(layout: DirectoryLayout) -> Expected:
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for item in layout.directories:
        of_class = counts[item.split or DRAWN]
        files = [name for name, hidden in walk_files(item.path) if not hidden]
        of_class[item.class_name] = of_class.get(item.class_name, 0) + len(files)
    return dict(counts)


def error_of(root: Path, **keys: Any) -> str:
    with pytest.raises(DataError) as caught:
        find_layout(root, **keys)
    return str(caught.value)


@pytest.mark.parametrize("row", LAYOUTS)
def test_a_layout_is_read(tmp_path: Path, row: str) -> None:
    files, name, expected, ignored = LAYOUTS[row]
    layout = find_layout(plant(tmp_path, files))
    assert layout.name == name
    assert images_of(layout) == expected
    assert list(layout.ignored) == ignored


def test_the_page_lists_the_layouts_that_are_tested() -> None:
    table = PAGE.read_text("utf-8").partition("## Directories")[2].partition("## Splits")[0]
    rows = re.findall(r"^\| ([^|]+?) \| `[^|]*\|", table, re.MULTILINE)
    assert rows == list(LAYOUTS)


@pytest.mark.parametrize(
    "name", ["Train", "TRAINING", "trn", "train2017", "trainset", "train-set", "Training_Data"]
)
def test_a_training_directory_has_many_spellings(tmp_path: Path, name: str) -> None:
    plant(tmp_path, f"{name}/ants/1.jpg {name}/bees/1.jpg")
    assert images_of(find_layout(tmp_path)) == of_two("train")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *((name, "val") for name in ("val", "Valid", "VALIDATION", "dev", "eval", "valset")),
        *((name, "test") for name in ("Test", "TESTING", "tst", "test_images", "test2")),
    ],
)
def test_the_other_splits_have_many_spellings(tmp_path: Path, name: str, split: str) -> None:
    plant(tmp_path, f"train/ants/1.jpg train/bees/1.jpg {name}/ants/1.jpg {name}/bees/1.jpg")
    assert images_of(find_layout(tmp_path)) == of_two("train", split)


def test_decomposed_characters_are_the_same_class(tmp_path: Path) -> None:
    plant(tmp_path, "train/caf\u00e9/1.jpg train/thé/1.jpg val/cafe\u0301/1.jpg val/thé/1.jpg")
    assert images_of(find_layout(tmp_path)) == of_two("train", "val", names=("café", "thé"))


# Two readings


AMBIGUOUS = {
    "split/class": (
        "train/ants/1.jpg train/bees/1.jpg plane/1.jpg",
        "split/class: the classes are ants, bees. class: the classes are plane, train. Set "
        "data.layout to split/class or class.",
        of_two("train"),
        {DRAWN: {"plane": 1, "train": 2}},
    ),
    "*/class": (
        "2019/ants/1.jpg 2019/bees/1.jpg 2020/ants/1.jpg 2020/bees/1.jpg",
        "*/class: the classes are ants, bees. class: the classes are 2019, 2020. Set "
        "data.layout to */class or class.",
        {DRAWN: {"ants": 2, "bees": 2}},
        {DRAWN: {"2019": 2, "2020": 2}},
    ),
    "class/split": (
        "ants/train/1.jpg ants/val/1.jpg bees/train/1.jpg bees/val/1.jpg wasps/red/1.jpg",
        "class/split: the classes are ants, bees. class: the classes are ants, bees, wasps. Set "
        "data.layout to class/split or class.",
        None,
        {DRAWN: {"ants": 2, "bees": 2, "wasps": 1}},
    ),
}


@pytest.mark.parametrize("layout", AMBIGUOUS)
def test_a_layout_with_two_readings_is_an_error_that_names_the_key(
    tmp_path: Path, layout: Any
) -> None:
    files, message, one, other = AMBIGUOUS[layout]
    plant(tmp_path, files)
    assert error_of(tmp_path) == f"data.path: {tmp_path} can be read in two ways. {message}"
    assert images_of(find_layout(tmp_path, layout="class")) == other
    if one:
        assert images_of(find_layout(tmp_path, layout=layout)) == one


def test_a_class_without_the_directory_of_a_split_is_an_error(tmp_path: Path) -> None:
    plant(tmp_path, "ants/train/1.jpg ants/val/1.jpg bees/train/1.jpg")
    assert error_of(tmp_path) == (
        f"data.path: some classes in {tmp_path} have no val directory. Missing: bees."
    )
    plant(tmp_path, "wasps/red/1.jpg")
    assert error_of(tmp_path, layout="class/split") == (
        f"data.path: expected a train directory in each class in {tmp_path}. wasps has red."
    )


def test_two_directories_of_one_split_are_an_error_unless_one_is_named(tmp_path: Path) -> None:
    plant(tmp_path, "train/ants/1.jpg train/bees/1.jpg val/ants/1.jpg val/bees/1.jpg")
    plant(tmp_path, "dev/ants/1.jpg dev/bees/1.jpg")
    assert error_of(tmp_path) == (
        f"data.path: dev and val in {tmp_path} are the same split. Keep one of them, or name the "
        "directories of the splits in data.splits."
    )
    layout = find_layout(tmp_path, splits={"train": "train", "val": "dev", "test": "val"})
    assert images_of(layout) == of_two("train", "val", "test")


def test_named_directories_of_splits_may_be_anywhere(tmp_path: Path) -> None:
    plant(tmp_path / "data", "fold1/ants/1.jpg fold1/bees/1.jpg")
    plant(tmp_path / "other", "ants/1.jpg bees/1.jpg")
    splits = {"train": "fold1", "val": str(tmp_path / "other"), "test": "../other"}
    layout = find_layout(tmp_path / "data", splits=splits)
    assert images_of(layout) == of_two("train", "val", "test")


def test_a_named_directory_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    plant(tmp_path, "fold1/ants/1.jpg fold1/bees/1.jpg")
    assert error_of(tmp_path, splits={"train": "fold1", "val": "fold2"}) == (
        f"data.splits: val, {tmp_path / 'fold2'}, is not a directory."
    )


# Not a layout


def test_images_of_splits_without_classes_are_an_error(tmp_path: Path) -> None:
    plant(tmp_path, "train/cat.0.jpg train/dog.0.jpg test1/1.jpg")
    assert error_of(tmp_path) == (
        f"data.path: test1 and train in {tmp_path} have images, but no directories for classes. "
        "Put the images of each class in a directory of its own, or use data.source: table if "
        "the labels are in a file."
    )


def test_splits_without_train_are_an_error(tmp_path: Path) -> None:
    plant(tmp_path, "val/ants/1.jpg val/bees/1.jpg test/ants/1.jpg test/bees/1.jpg")
    assert error_of(tmp_path) == (
        f"data.path: {tmp_path} has directories for test and val, but none for train. Name the "
        "directories of the splits in data.splits, or set data.layout to class if these are "
        "classes."
    )


@pytest.mark.parametrize(
    ("files", "received"),
    [
        ("notes.txt", "none."),
        ("ants/1.jpg", "ants."),
        ("ant1.jpg bee1.jpg", "none. Put the images of each class into a subdirectory."),
        (
            "images/1.jpg labels.csv",
            "images. If labels.csv has the labels, use data.source: table.",
        ),
        ("1.jpg images.tar.gz", "none. Extract images.tar.gz if the images are in it."),
    ],
)
def test_fewer_than_two_classes_are_an_error(tmp_path: Path, files: str, received: str) -> None:
    assert error_of(plant(tmp_path, files)) == (
        f"data.path: expected subdirectories for two or more classes in {tmp_path}. "
        f"Received: {received}"
    )


def test_the_classes_of_a_split_must_be_those_of_train(tmp_path: Path) -> None:
    plant(tmp_path, "train/ants/1.jpg train/bees/1.jpg val/ants/1.jpg val/wasps/1.jpg")
    assert error_of(tmp_path) == (
        f"data.path: the classes in {tmp_path / 'val'} differ from those in {tmp_path / 'train'}. "
        "Missing: bees. Unexpected: wasps. Expected: ants, bees."
    )


def test_a_class_directory_without_files_stays_a_class(tmp_path: Path) -> None:
    plant(tmp_path, "ants/1.jpg bees/1.jpg")
    os.mkdir(tmp_path / "wasps")  # noqa: PTH102
    assert find_layout(tmp_path).class_names == ("ants", "bees", "wasps")


def test_images_without_classes_are_in_splits_or_anywhere(tmp_path: Path) -> None:
    plant(tmp_path, "flat/a/1.jpg flat/2.jpg split/training/1.jpg split/test/x/2.jpg")
    flat = find_unlabelled(tmp_path / "flat")
    assert [(item.path, item.split) for item in flat.directories] == [(tmp_path / "flat", None)]
    assert flat.class_names == ("images",)
    split = find_unlabelled(tmp_path / "split")
    assert [(item.path.name, item.split) for item in split.directories] == [
        ("training", "train"),
        ("test", "test"),
    ]
    with pytest.raises(DataError) as caught:
        find_unlabelled(plant(tmp_path / "empty", "train/notes.txt"))
    assert str(caught.value) == f"data.path: there is no image in {tmp_path / 'empty' / 'train'}."
