"""Tables of images and labels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.data.image_table import TableConfig
from pipeline.errors import DataError

Photographs = dict[str, list[tuple[str, bytes]]]


def config_of(path: Path, **keys: Any) -> TableConfig:
    return TableConfig(
        **{"source": "table", "path": str(path), "image_size": (16, 16), "max_bad": 0.0, **keys}
    )


def write(root: Path, rows: Sequence[Sequence[str]], *, files: bool = True) -> Path:
    """Write a table, and an empty file for the first value of each row."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / "labels.csv"
    path.write_text("\n".join(",".join(row) for row in rows), encoding="utf-8")
    for row in rows[1:] if files else ():
        (root / row[0]).parent.mkdir(parents=True, exist_ok=True)
        (root / row[0]).touch()
    return path


def problem_of(path: Path, **keys: Any) -> str:
    """Return the problem that `validate` reports and `load` raises."""
    config = config_of(path, **keys)
    ((key, message),) = config.problems()
    with pytest.raises(DataError) as caught:
        config.load()
    assert str(caught.value) == f"data.{'.'.join(map(str, key))}: {message}"
    return str(caught.value)


PLAIN = [("image", "label"), ("1.jpg", "ant"), ("2.jpg", "bee"), ("3.jpg", "ant"), ("4.jpg", "bee")]


def test_images_have_the_labels_of_the_table(
    tmp_path: Path, small_photographs: Photographs
) -> None:
    rows = [
        {"file_name": name, "label": label[:-1], "split": "train" if i < 12 else "valid"}
        for label, files in small_photographs.items()
        for i, (name, _) in enumerate(files)
    ]
    path = tmp_path / "metadata.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    for files in small_photographs.values():
        for name, data in files:
            (tmp_path / name).write_bytes(data)
    splits = config_of(path).load()
    assert splits.class_names == ("ant", "bee")
    assert {name: np.bincount(split.labels).tolist() for name, split in splits.named().items()} == {
        "train": [12, 12],
        "val": [12, 12],
    }
    names = [name for name, _ in small_photographs["bees"][:12]]
    assert [
        splits.train.names[i] for i in np.flatnonzero(splits.train.labels == 1).tolist()
    ] == names


def test_splits_that_the_table_does_not_give_are_drawn(tmp_path: Path) -> None:
    rows = [(f"{i}.jpg", "ab"[i % 2], "test" if i < 20 else "") for i in range(60)]
    listing = config_of(write(tmp_path, [("image", "label", "split"), *rows])).list_files()
    assert np.bincount(listing.splits + 1).tolist() == [40, 0, 0, 20]
    assert config_of(tmp_path / "labels.csv").describe_files() == (
        f"Found 60 images of 2 classes (a, b) in {tmp_path / 'labels.csv'}: train 40, test 20; "
        "drawn: 0.2 of train as val."
    )


@pytest.mark.parametrize("where", ["beside", "root", "absolute"])
def test_images_may_be_beside_the_table_or_elsewhere(tmp_path: Path, where: str) -> None:
    images = tmp_path / "images"
    write(images, PLAIN)
    prefix = {"beside": "images/", "root": "", "absolute": f"{images}/"}[where]
    rows = [(f"{prefix}{image}", label) for image, label in PLAIN[1:]]
    path = write(tmp_path, [PLAIN[0], *rows], files=False)
    listing = config_of(path, **({"images": str(images)} if where == "root" else {})).list_files()
    assert [listing.root.join(name) for name in listing.names] == sorted(images.glob("*.jpg"))


def test_labels_stay_as_they_are_written(tmp_path: Path) -> None:
    labels = ["01", "1", "1.0", "NA", "no"]
    path = write(tmp_path, [PLAIN[0], *((f"{label}.jpg", label) for label in labels)])
    assert config_of(path).class_names() == tuple(labels)


@pytest.mark.parametrize(
    "columns",
    [
        ("Image", "Label"),
        ("filepath", "category"),
        ("image_id", "dx"),
        ("id", "breed"),
        ("file_name", "class"),
        ("path", "class_name"),
        ("Filenames", "label"),
        ("File Name", "Class Name"),
    ],
)
def test_columns_have_their_usual_names(tmp_path: Path, columns: tuple[str, str]) -> None:
    assert config_of(write(tmp_path, [columns, *PLAIN[1:]])).class_names() == ("ant", "bee")


def test_columns_can_be_named(tmp_path: Path) -> None:
    rows = [("image", "a", "b", "c"), ("1.jpg", "x", "ant", "train"), ("2.jpg", "y", "bee", "tst")]
    path = write(tmp_path, rows)
    listing = config_of(path, columns={"label": "b", "split": "c"}).list_files()
    assert (listing.class_names, listing.splits.tolist()) == (("ant", "bee"), [-1, 2])


def test_a_suffix_may_be_missing(tmp_path: Path) -> None:
    write(tmp_path, PLAIN)
    path = write(tmp_path, [("image_id", "dx"), ("1", "ant"), ("2", "bee")], files=False)
    assert config_of(path).list_files().names == ["1.jpg", "2.jpg"]


def test_paths_of_windows_are_read(tmp_path: Path) -> None:
    write(tmp_path, [PLAIN[0], ("a/1.jpg", "ant"), ("a/2.jpg", "bee")])
    path = write(tmp_path, [PLAIN[0], (r"a\1.jpg", "ant"), (r"a\2.jpg", "bee")], files=False)
    assert config_of(path).list_files().names == ["a/1.jpg", "a/2.jpg"]


@pytest.mark.parametrize("group_by", [{"column": "patient"}, {"level": 1}, {"pattern": r"^(p\d)"}])
def test_groups_are_a_column_or_in_the_path(tmp_path: Path, group_by: dict[str, Any]) -> None:
    rows = [(f"p{i % 3}/{i}.jpg", "ab"[i % 2], f"p{i % 3}") for i in range(12)]
    path = write(tmp_path, [("image", "label", "patient"), *rows])
    listing = config_of(path, group_by=group_by).list_files()
    assert listing.groups is not None
    assert listing.groups.tolist() == [i % 3 for i in range(12)]
    assert list(listing.keys) == [f"p{i % 3}" for i in range(12)]


# Errors


def test_missing_files_are_named_with_their_line(tmp_path: Path) -> None:
    path = write(tmp_path, PLAIN)
    (tmp_path / "2.jpg").unlink()
    assert problem_of(path) == (
        f"data.path: {path} names files that are not in {tmp_path}, 1 of 4: 2.jpg in line 3. "
        "Correct the rows, or set data.images to the directory that the paths are relative to."
    )


@pytest.mark.parametrize(("label", "what"), [("ant", "row"), ("bee", "label")])
def test_rows_of_one_image_are_named_with_their_lines(
    tmp_path: Path, label: str, what: str
) -> None:
    path = write(tmp_path, [*PLAIN, ("./1.jpg", label)])
    assert problem_of(path) == (
        f"data.path: {path} has more than one {what} for an image: 1.jpg in line 2 (ant) and line "
        f"6 ({label}). Keep one row per image."
    )


def test_rows_without_a_label_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, [*PLAIN, ("5.jpg", "")])
    assert problem_of(path) == f"data.path: {path} has no label in line 6."


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            ("1.jpg", "label"),
            "data.columns: no column of {path} is known to be the image column. Set "
            "data.columns.image, or add a first line with the names of the columns. Received: "
            "1.jpg, label.",
        ),
        (
            ("image", "kind"),
            "data.columns: no column of {path} is known to be the label column. Set "
            "data.columns.label, or add a first line with the names of the columns. Received: "
            "image, kind.",
        ),
        (
            ("image", "file"),
            "data.columns: image and file in {path} may be the image column. Set "
            "data.columns.image.",
        ),
    ],
)
def test_columns_that_are_not_known_are_an_error(
    tmp_path: Path, header: tuple[str, str], message: str
) -> None:
    path = write(tmp_path, [header, *PLAIN[1:]])
    assert problem_of(path) == message.format(path=path)


def test_a_named_column_that_is_absent_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, PLAIN)
    assert problem_of(path, columns={"label": "kind"}) == (
        f"data.columns.label: {path} has no column kind. Expected one of: image, label."
    )
    assert problem_of(path, group_by={"column": "patient"}) == (
        f"data.group_by: {path} has no column patient. Expected one of: image, label."
    )
    assert problem_of(path, columns={"label": "Labels"}) == (
        f"data.columns.label: {path} has no column Labels. Expected one of: image, label. Did you "
        "mean 'label'?"
    )


def test_a_value_that_is_no_split_is_an_error_if_the_column_is_named(tmp_path: Path) -> None:
    path = write(
        tmp_path, [("image", "label", "set"), ("1.jpg", "a", "x"), ("2.jpg", "b", "train")]
    )
    assert problem_of(path, columns={"split": "set"}) == (
        f"data.columns.split: expected train, val or test in line 2 of {path}. Received x."
    )
    assert "Ignored: column set (its values are not splits)." in str(
        config_of(path).describe_files()
    )


def test_columns_of_0_and_1_are_several_labels(tmp_path: Path) -> None:
    rows = [("Filenames", "desert", "sea"), ("1.jpg", "1", "0"), ("2.jpg", "1", "1")]
    path = write(tmp_path, rows)
    assert problem_of(path) == (
        f"data.columns: {path} has a column of 0 and 1 for each of desert, sea. Set data.task: "
        "multi_label if images have several labels, or data.columns.label to the column of classes."
    )


@pytest.mark.parametrize("value", ["ant|bee", "ant;bee", "['ant', 'bee']"])
def test_lists_of_labels_are_several_labels(tmp_path: Path, value: str) -> None:
    path = write(tmp_path, [*PLAIN, ("5.jpg", f"{value}")])
    if "," in value:
        path.write_text(path.read_text("utf-8").replace(value, f'"{value}"'), "utf-8")
    assert problem_of(path) == (
        f"data.columns: the label in line 6 of {path} is several: {value}. Set data.task: "
        "multi_label if images have several labels. Otherwise, expected one class per image."
    )
