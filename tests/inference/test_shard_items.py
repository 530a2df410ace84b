"""Shards of images and of numbers, and their items."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline.data.image_decoding import Decoding
from pipeline.data.remote_path import any_path
from pipeline.errors import BadInputError, DataError, UsageError
from pipeline.inference import input_shards
from pipeline.inference.input_item import InputItem
from pipeline.inference.input_shards import (
    FileShard,
    ParquetShard,
    RowShard,
    TarShard,
    list_shards,
    shard_version,
    source_columns,
)
from pipeline.inference.model_interface import ModelInterface
from pipeline.inference.shard_items import shard_items

IMAGES = ModelInterface("classification", ("a", "b"), Decoding((8, 8), "crop"))
NUMBERS = replace(IMAGES, decoding=None, feature_names=("x", "y"))
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def folder(in_empty_folder: Path) -> Path:
    Path("photographs").mkdir()
    for number in range(5):
        Path(f"photographs/{number}.png").write_bytes(PNG + bytes([number]))
    return in_empty_folder


def write_tar(path: str, names: list[str]) -> None:
    with tarfile.open(path, "w") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(PNG)
            archive.addfile(info, io.BytesIO(PNG))


def items(*arguments: str, column: str | None = None) -> list[tuple[Any, ...]]:
    shards = list_shards(arguments, IMAGES, column=column)
    assert pickle.loads(pickle.dumps(shards)) == shards
    found = (item for shard in shards for item in shard_items(shard, takes_numbers=False))
    return [(item.file, item.line, item.image, content(item)) for item in found]


def content(item: InputItem) -> bytes | str | None:
    try:
        return item.content() if item.content else None
    except BadInputError as error:
        return str(error)


def test_files_are_shards_of_a_few_files_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_shards, "IMAGES_PER_SHARD", 2)
    shards = list_shards(["photographs", "photographs/1.png"], IMAGES)
    assert [shard.count for shard in shards] == [2, 2, 1]
    assert items("photographs") == [
        (f"photographs/{number}.png", None, None, None) for number in range(5)
    ]


def test_a_tar_file_is_a_shard_and_its_members_are_images() -> None:
    write_tar("a-08.tar", ["x/1.left.png"])
    write_tar("a-09.tar", ["2.png"])
    write_tar("a-10.tar.gz", ["3.png"])
    for pattern in ("a-*.tar*", "a-{08..10}.tar*"):
        assert items(pattern) == [
            ("a-08.tar", None, "x/1.left.png", PNG),
            ("a-09.tar", None, "2.png", PNG),
            ("a-10.tar.gz", None, "3.png", PNG),
        ]
    shards = list_shards(["a-08.tar"], IMAGES)
    (item,) = shard_items(shards[0], takes_numbers=False)
    assert item.key == "x/1"
    assert source_columns(shards, IMAGES) == ("file", "image", "key")


def test_a_tar_file_of_a_range_that_is_missing_is_an_error() -> None:
    write_tar("a-0.tar", ["1.png"])
    with pytest.raises(UsageError, match=r"^No such file: a-1\.tar$"):
        list_shards(["a-{0..2}.tar"], IMAGES)


def test_a_directory_of_tar_files_says_how_to_name_them() -> None:
    Path("shards").mkdir()
    write_tar("shards/1.tar", ["1.png"])
    with pytest.raises(UsageError) as caught:
        list_shards(["shards"], IMAGES)
    assert str(caught.value) == (
        "The directory shards contains no images. For its 1 .tar files, write shards/*.tar"
    )


def test_a_damaged_tar_file_is_an_item_with_an_error_behind_its_images() -> None:
    write_tar("a.tar", ["1.png", "2.png"])
    os.truncate("a.tar", 1540)
    assert items("a.tar") == [
        ("a.tar", None, "1.png", PNG),
        ("a.tar", None, None, "damaged: it ends in the middle of a member"),
    ]


def test_a_tar_file_that_is_gone_is_an_error() -> None:
    with pytest.raises(DataError, match=r"^a\.tar cannot be read: No such file or directory\.$"):
        list(shard_items(TarShard(Path("a.tar"), ""), takes_numbers=False))


def test_the_paths_in_a_table_start_from_its_directory() -> None:
    Path("photographs/list.csv").write_text(
        f"image,note\n1.png,x\n{Path('photographs/2.png').absolute()},y\nabsent.png,z\n,\n"
    )
    assert items("photographs/list.csv") == [
        ("photographs/list.csv", 2, "1.png", PNG + b"\1"),
        ("photographs/list.csv", 3, str(Path("photographs/2.png").absolute()), PNG + b"\2"),
        ("photographs/list.csv", 4, "absent.png", "No such file or directory"),
        ("photographs/list.csv", 5, "", "the row has no image"),
    ]
    shards = list_shards(["photographs/list.csv"], IMAGES)
    assert [type(shard) for shard in shards] == [RowShard]
    assert source_columns(shards, IMAGES) == ("file", "line", "image")


def test_a_parquet_table_has_paths_or_bytes_or_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_shards, "IMAGES_PER_SHARD", 3)
    both = [{"bytes": PNG, "path": "1.png"}, {"bytes": None, "path": "photographs/3.png"}, None]
    table = pa.table({"image": both * 2, "img_bytes": [PNG, None, b""] * 2})
    parquet.write_table(table, "both.parquet", row_group_size=2)
    shards = list_shards(["both.parquet"], IMAGES)
    version = shards[0].version  # type: ignore[union-attr]
    assert shards == [
        ParquetShard(Path("both.parquet"), ("image",), (0, 2), 1, 4, version),
        ParquetShard(Path("both.parquet"), ("image",), (2, 3), 5, 2, version),
    ]
    expected = [
        ("1.png", PNG),
        ("photographs/3.png", PNG + b"\3"),
        (None, "the row has no image"),
    ]
    assert items("both.parquet") == [
        ("both.parquet", number, *one) for number, one in enumerate(expected * 2, start=1)
    ]
    assert [one[3] for one in items("both.parquet", column="img_bytes")] == [
        *[PNG, "the row has no image", b""] * 2
    ]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/etc/passwd", "expected an address, or a path below that of the table"),
        ("../1.png", "expected an address, or a path below that of the table"),
        ("file:///etc/passwd", "a table of another machine names a file of this one"),
        ("s3://a::file:///etc/passwd", "expected an address that begins with one of: s3://"),
    ],
)
def test_a_table_on_another_machine_names_no_file_of_this_one(name: str, reason: str) -> None:
    shard = RowShard(any_path("memory://folder/a.csv"), (2,), ((name,),))
    (item,) = shard_items(shard, takes_numbers=False)
    assert str(content(item)).startswith(reason)


@pytest.mark.parametrize(
    ("columns", "column", "expected"),
    [
        (
            "number,label",
            None,
            "t.csv has no column that may be the images. Name the one with --column. Received: "
            "number, label.",
        ),
        (
            "image,path",
            None,
            "t.csv has several columns that may be the images. Name the one with --column. "
            "Received: image, path.",
        ),
        ("image,path", "file", "t.csv has no column file. Expected one of: image, path."),
    ],
)
def test_the_column_of_the_images_has_to_be_known(
    columns: str, column: str | None, expected: str
) -> None:
    Path("t.csv").write_text(f"{columns}\n1.png,2\n")
    with pytest.raises(UsageError) as caught:
        list_shards(["t.csv"], IMAGES, column=column)
    assert str(caught.value) == expected


def test_a_pattern_for_images_takes_no_table_beside_them() -> None:
    Path("photographs/labels.csv").write_text("image\n1.png\n")
    assert len(items("photographs/*")) == 6
    assert set(map(type, list_shards(["photographs/*"], IMAGES))) == {FileShard}


def test_a_table_of_numbers_is_read_in_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_shards, "NUMBERS_PER_SHARD", 2)
    parquet.write_table(pa.table({"y": [1.5, 2.5, None], "x": [1, 2, 3]}), "n.parquet")
    Path("n.csv").write_text("x,y\n1,1.5\n2,2.5\n3,oops\n")
    shards = list_shards(["n.parquet", "n.csv"], NUMBERS)
    assert [shard.count for shard in shards] == [3, 2, 1]
    assert source_columns(shards, NUMBERS) == ("file", "line")
    found = [item for shard in shards for item in shard_items(shard, takes_numbers=True)]
    assert [(item.line, item.values) for item in found] == [
        *[(1, (1, 1.5)), (2, (2, 2.5)), (3, (3, None))],
        *[(2, ("1", "1.5")), (3, ("2", "2.5")), (4, ("3", "oops"))],
    ]


def test_a_version_changes_with_the_files() -> None:
    write_tar("a.tar", ["1.png"])
    Path("t.csv").write_text("image\n1.png\n2.png\n")
    arguments = ["photographs", "a.tar", "t.csv"]
    before = [shard_version(shard) for shard in list_shards(arguments, IMAGES)]
    assert before == [shard_version(shard) for shard in list_shards(arguments, IMAGES)]
    os.utime("photographs/1.png", ns=(1, 1))
    write_tar("a.tar", ["1.png", "2.png"])
    Path("t.csv").write_text("image\n1.png\n3.png\n")
    after = [shard_version(shard) for shard in list_shards(arguments, IMAGES)]
    assert [one["digest"] == other["digest"] for one, other in zip(before, after, strict=True)] == [
        False,
        False,
        False,
    ]
