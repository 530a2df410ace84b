"""Images, tar files and tables that fsspec reaches."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import fsspec
import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline.data.address_files import read_address
from pipeline.data.image_decoding import Decoding
from pipeline.errors import BadInputError, DataError, UsageError
from pipeline.inference import input_shards
from pipeline.inference.input_shards import list_shards, shard_version
from pipeline.inference.model_interface import ModelInterface
from pipeline.inference.remote_inputs import find_remote_files
from pipeline.inference.shard_items import shard_items

IMAGES = ModelInterface("classification", ("a", "b"), Decoding((8, 8), "crop"))
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """A file system with photographs, a tar file and tables."""
    system = fsspec.filesystem("memory")
    for name in ("photographs/1.png", "photographs/deep/2.PNG", "photographs/.3.png"):
        system.pipe_file(f"/{name}", PNG + name[-5:].encode())
    system.pipe_file("/photographs/notes.txt", b"text")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as file:
        info = tarfile.TarInfo("4.png")
        info.size = len(PNG)
        file.addfile(info, io.BytesIO(PNG))
    system.pipe_file("/shards/a-0.tar", archive.getvalue())
    system.pipe_file("/tables/a.csv", b"image\n../photographs/1.png\nmemory://photographs/9.png\n")
    table = io.BytesIO()
    parquet.write_table(pa.table({"image": [PNG, PNG]}), table)
    system.pipe_file("/tables/a.parquet", table.getvalue())
    yield system
    system.store.clear()


def contents(*arguments: str) -> list[tuple[str, str | None, bytes | str]]:
    found: list[tuple[str, str | None, bytes | str]] = []
    for shard in list_shards(arguments, IMAGES):
        for item in shard_items(shard, takes_numbers=False):
            assert item.content
            try:
                found.append((item.file, item.image, item.content()))
            except BadInputError as error:
                found.append((item.file, item.image, str(error)))
    return found


def test_a_folder_means_the_images_below_it(messages: list[str]) -> None:
    assert contents("memory://photographs/") == [
        ("memory:///photographs/1.png", None, PNG + b"1.png"),
        ("memory:///photographs/deep/2.PNG", None, PNG + b"2.PNG"),
    ]
    assert messages == ["Ignored files in memory://photographs/ that are not images: 1 .txt"]


def test_tar_files_are_streamed() -> None:
    for argument in ("memory://shards/*.tar", "memory://shards/a-{0..0}.tar"):
        assert contents(argument) == [("memory:///shards/a-0.tar", "4.png", PNG)]


def test_tables_are_read() -> None:
    assert contents("memory://tables/a.parquet") == [("memory:///tables/a.parquet", None, PNG)] * 2
    rows = contents("memory://tables/a.csv")
    assert rows[1][1:] == ("memory://photographs/9.png", "it cannot be read")


def test_a_version_changes_with_the_content(memory: fsspec.AbstractFileSystem) -> None:
    before = [shard_version(one) for one in list_shards(["memory://photographs"], IMAGES)]
    assert before == [shard_version(one) for one in list_shards(["memory://photographs"], IMAGES)]
    memory.pipe_file("/photographs/1.png", PNG)
    assert before != [shard_version(one) for one in list_shards(["memory://photographs"], IMAGES)]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("memory://absent/1.png", "No such file: memory://absent/1.png"),
        ("memory://shards/*.jpg", "No such file: memory://shards/*.jpg"),
        (
            "memory://shards/",
            "The directory memory://shards/ contains no images. For tar files or tables in it, "
            "write a pattern such as *.tar at its end.",
        ),
    ],
)
def test_an_address_that_names_nothing_is_an_error(address: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        list(find_remote_files(address))
    assert str(caught.value) == expected


def test_a_storage_that_does_not_answer_ends_the_work(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise TimeoutError("no answer")

    monkeypatch.setattr(type(memory), "info", fail)
    with pytest.raises(DataError, match=r"^memory://p/1\.png cannot be read: no answer\.$"):
        read_address("memory://p/1.png")
    with pytest.raises(UsageError, match=r"cannot be read: no answer\. Check the address"):
        list(find_remote_files("memory://photographs/1.png"))


def test_the_listing_is_split_into_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_shards, "IMAGES_PER_SHARD", 1)
    shards = list_shards(["memory://photographs/"], IMAGES)
    assert [shard.count for shard in shards] == [1, 1]
