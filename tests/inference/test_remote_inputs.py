"""Images, tar files and tables that fsspec reaches."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Iterator

import fsspec
import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline.data import remote_files
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
    system.pipe_file("/tables/a.csv", b"image\n1.png\nmemory://photographs/9.png\n")
    system.pipe_file("/tables/1.png", PNG)
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
        ("memory://photographs/1.png", None, PNG + b"1.png"),
        ("memory://photographs/deep/2.PNG", None, PNG + b"2.PNG"),
    ]
    assert messages == ["Ignored files in memory://photographs that are not images: 1 .txt"]


def test_tar_files_are_streamed() -> None:
    for argument in ("memory://shards/*.tar", "memory://shards/a-{0..0}.tar"):
        assert contents(argument) == [("memory://shards/a-0.tar", "4.png", PNG)]


def test_tables_are_read() -> None:
    assert contents("memory://tables/a.parquet") == [("memory://tables/a.parquet", None, PNG)] * 2
    assert contents("memory://tables/a.csv") == [
        ("memory://tables/a.csv", "1.png", PNG),
        ("memory://tables/a.csv", "memory://photographs/9.png", "there is no such file"),
    ]


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
            "The directory memory://shards contains no images. For tar files or tables in it, "
            "write a pattern such as *.tar at its end.",
        ),
    ],
)
def test_an_address_that_names_nothing_is_an_error(address: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        list(find_remote_files(address))
    assert str(caught.value) == expected


def test_images_are_downloaded_several_at_a_time_in_their_order(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(8, timeout=10)
    read = type(memory).cat_file

    def wait(self: object, path: str, **options: object) -> bytes:
        together.wait()
        return bytes(read(self, path, **options))

    for number in range(8):
        memory.pipe_file(f"/many/{number}.png", PNG + bytes([number]))
    monkeypatch.setattr(type(memory), "cat_file", wait)
    found = contents("memory://many/")
    assert [content for _, _, content in found] == [PNG + bytes([number]) for number in range(8)]


def test_a_server_that_does_not_answer_ends_the_work(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise TimeoutError("no answer")

    shards = list_shards(["memory://photographs/1.png", "memory://shards/*.tar"], IMAGES)
    monkeypatch.setattr(remote_files, "_DELAYS", ())
    monkeypatch.setattr(type(memory), "cat_file", fail)
    monkeypatch.setattr(type(memory), "open", fail)
    for shard, name in zip(shards, ("photographs/1.png", "shards/a-0.tar"), strict=True):
        with pytest.raises(DataError, match=rf"^memory://{name} cannot be read: no answer\."):
            list(shard_items(shard, takes_numbers=False))


def test_the_listing_is_split_into_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_shards, "IMAGES_PER_SHARD", 1)
    shards = list_shards(["memory://photographs/"], IMAGES)
    assert [shard.count for shard in shards] == [1, 1]
