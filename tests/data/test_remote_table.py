"""Tables of other machines, and tables whose images are there."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from pyarrow import parquet

from pipeline import array_cache
from pipeline.data import file_root, image_index, remote_files
from pipeline.data.image_folder import ImageFolderConfig
from pipeline.data.image_table import TableConfig
from pipeline.data.number_table import NumberTableConfig
from pipeline.data.remote_path import RemotePath
from pipeline.errors import DataError

Plant = Callable[[Path, Mapping[str, int]], Path]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait before another attempt."""
    monkeypatch.setattr(remote_files, "_DELAYS", (0.0, 0.0))


@pytest.fixture
def local(tmp_path: Path, plant: Plant) -> Path:
    """Photographs with a table, labels.csv."""
    folder = plant(tmp_path / "local", {"ants": 5, "bees": 5})
    write_table(folder / "labels.csv", names_in(folder))
    return folder


@pytest.fixture
def memory(local: Path) -> Iterator[Any]:
    """The file system `memory://`, where `bucket` has a copy of the photographs and the table."""
    system = fsspec.filesystem("memory")
    MemoryFileSystem.store.clear()
    for path in local.rglob("*.*"):
        system.pipe_file(f"/bucket/{path.relative_to(local)}", path.read_bytes())
    yield system
    MemoryFileSystem.store.clear()


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def web(local: Path) -> Iterator[str]:
    """The address of a web server that has the photographs and the table."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=local)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def names_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.jpg"))


def write_table(path: Path, images: Sequence[str]) -> Path:
    rows = "".join(f"{image},{'ants' if '/ants' in f'/{image}' else 'bees'}\n" for image in images)
    path.write_text(f"image,label\n{rows}")
    return path


def config_of(path: Path | str, **keys: Any) -> TableConfig:
    return TableConfig(**{"source": "table", "path": str(path), "image_size": (8, 8), **keys})


def digest_of(path: Path | str, **keys: Any) -> str:
    return config_of(path, **keys).load().digest


def test_paths_in_a_remote_table_are_relative_to_it(local: Path, memory: Any) -> None:
    config = config_of("memory://bucket/labels.csv")
    assert list(config.problems()) == []
    assert config.describe_files() == (
        "Found 10 images of 2 classes (ants, bees) in memory://bucket/labels.csv: train 10; "
        "drawn: 0.2 of train as val."
    )
    splits = config.load()
    assert splits.digest == digest_of(local / "labels.csv")
    assert set(splits.train.names) < set(names_in(local))


def test_a_new_row_is_found_by_the_next_run(local: Path, memory: Any) -> None:
    config = config_of("memory://bucket/labels.csv", validation=0.0)
    assert list(config.problems()) == []
    memory.pipe_file("/bucket/ants/new.jpg", next((local / "ants").iterdir()).read_bytes())
    table = (local / "labels.csv").read_bytes() + b"ants/new.jpg,ants\n"
    memory.pipe_file("/bucket/labels.csv", table)
    assert "ants/new.jpg" in config.load().train.names


def test_a_parquet_table_is_read_too(local: Path, memory: Any, tmp_path: Path) -> None:
    names = names_in(local)
    table = pa.table({"image": names, "label": [name[:4] for name in names]})
    parquet.write_table(table, tmp_path / "labels.parquet")
    memory.pipe_file("/bucket/labels.parquet", (tmp_path / "labels.parquet").read_bytes())
    assert digest_of("memory://bucket/labels.parquet") == digest_of(local / "labels.csv")


@pytest.mark.parametrize("listed", [1, 1000])
def test_a_local_table_may_have_addresses(
    local: Path, memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: int
) -> None:
    monkeypatch.setattr(file_root, "_MIN_LISTED", listed)  # else each file is asked for
    images = [f"memory://bucket/{name}" for name in names_in(local)]
    path = write_table(tmp_path / "addresses.csv", images)
    splits = config_of(path).load()
    indices = np.arange(len(splits.train))
    whole = config_of(
        write_table(tmp_path / "paths.csv", [str(local / n) for n in names_in(local)])
    )
    expected = {
        Path(name).name: image
        for split in whole.load().named().values()
        for name, image in zip(split.names, split.images.read(np.arange(len(split))), strict=True)
    }
    for name, image in zip(splits.train.names, splits.train.images.read(indices), strict=True):
        np.testing.assert_array_equal(image, expected[Path(name).name])


def test_images_may_be_at_an_address(local: Path, memory: Any, tmp_path: Path) -> None:
    path = shutil.copy(local / "labels.csv", tmp_path)
    assert digest_of(path, images="memory://bucket") == digest_of(local / "labels.csv")


def test_a_web_server_has_images_and_tables(local: Path, web: str) -> None:
    assert digest_of(f"{web}/labels.csv") == digest_of(local / "labels.csv")


def test_a_web_server_that_lists_its_folders_is_a_folder(local: Path, web: str) -> None:
    keys: dict[str, Any] = {"source": "image_folder", "image_size": (8, 8)}
    remote = ImageFolderConfig(path=web, **keys).load()
    assert remote.digest == ImageFolderConfig(path=str(local), **keys).load().digest


def test_what_is_gone_is_unreadable(local: Path, web: str, tmp_path: Path) -> None:
    images = [f"{web}/{name}" for name in (*names_in(local), "ants/gone.jpg")]
    splits = config_of(write_table(tmp_path / "addresses.csv", images)).load()
    assert [(file.name, file.reason) for file in splits.quarantined] == [
        (f"{web}/ants/gone.jpg", "there is no such file")
    ]


def test_signatures_are_in_no_message_and_not_in_the_index(
    local: Path, web: str, tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = (*names_in(local), "ants/gone.jpg")
    images = [f"{web}/{name}?X-Amz-Signature=geheim" for name in names]
    first = config_of(write_table(tmp_path / "addresses.csv", images)).load()
    assert [file.name for file in first.quarantined] == [f"{web}/ants/gone.jpg?X-Amz-Signature=***"]
    assert "geheim" not in caplog.text
    stored = [path.read_bytes() for path in cache.rglob("*") if path.is_file()]
    assert not any(b"geheim" in content for content in stored)
    assert any(web.encode() in content for content in stored)
    with pytest.raises(DataError) as error:
        config_of(write_table(tmp_path / "twice.csv", images * 2)).load()
    assert "geheim" not in str(error.value)


def test_another_signature_is_the_same_file(
    local: Path, web: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads: list[str] = []
    download = remote_files._download

    def record(path: RemotePath) -> bytes:
        downloads.append(path.url)
        return download(path)

    monkeypatch.setattr(remote_files, "_download", record)
    for signature in ("one", "two"):
        images = [f"{web}/{name}?X-Amz-Signature={signature}" for name in names_in(local)]
        config_of(write_table(tmp_path / "addresses.csv", images)).load()
        array_cache.clear()  # so that the files are read again
    assert len(downloads) == len(names_in(local))


def test_files_that_a_token_tells_apart_are_different(
    local: Path, memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {name: (local / name).read_bytes() for name in names_in(local)}
    addresses = [
        f"memory://bucket/get?key={Path(name).parent.name}{i}" for i, name in enumerate(contents)
    ]
    for address, content in zip(addresses, contents.values(), strict=True):
        memory.pipe_file(address.removeprefix("memory:/"), content)
    rows = [f"{each},{'ants' if '=ants' in each else 'bees'}" for each in addresses]
    expected = [hashlib.sha256(content).hexdigest() for content in contents.values()]
    for first in (0, 2):
        (tmp_path / "addresses.csv").write_text("\n".join(("image,label", *rows[first:])))
        splits = config_of(tmp_path / "addresses.csv", validation=0.0).load()
        assert splits.train.hex_digests() == expected[first:]
        monkeypatch.setattr(image_index, "examine_file", None)  # now they are in the index


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            "file:///etc/passwd",
            "data.path: line 2 of memory://bucket/bad.csv names a file of this machine, and the "
            "table is not on it. Expected an address, such as s3://BUCKET/1.jpg, or a path "
            "relative to that of the table.",
        ),
        (
            "ftp://host/1.jpg",
            "data.path: line 2 of memory://bucket/bad.csv: expected an address that begins with "
            "one of: s3://, s3a://, gs://, gcs://, https://, http://, file://, memory://. "
            "Received ftp://host/1.jpg.",
        ),
        (
            "/etc/passwd",
            "data.path: memory://bucket/bad.csv names files that are not in memory://bucket, 1 of "
            "2: /etc/passwd in line 2. Correct the rows, or set data.images to the directory that "
            "the paths are relative to.",
        ),
        (
            "x::file:///etc/passwd",
            "data.path: memory://bucket/bad.csv names files that are not in memory://bucket, 1 of "
            "2: x::file:///etc/passwd in line 2. Correct the rows, or set data.images to the "
            "directory that the paths are relative to.",
        ),
        (
            "../secret/1.jpg",
            "data.path: memory://bucket/bad.csv names files that are not in memory://bucket, 1 of "
            "2: ../secret/1.jpg in line 2. Correct the rows, or set data.images to the directory "
            "that the paths are relative to.",
        ),
    ],
)
def test_a_hostile_table_names_nothing_of_this_machine(
    local: Path, memory: Any, image: str, message: str
) -> None:
    table = f"image,label\n{image},ants\n{names_in(local)[-1]},bees\n"
    memory.pipe_file("/bucket/bad.csv", table.encode())
    with pytest.raises(DataError) as error:
        config_of("memory://bucket/bad.csv").load()
    assert str(error.value) == message


def test_numbers_may_be_at_an_address(memory: Any) -> None:
    memory.pipe_file("/bucket/points.csv", b"x,y,label\n" + b"1,2,a\n3,4,b\n" * 5)
    config = NumberTableConfig(
        source="table", path="memory://bucket/points.csv", features=("x", "y")
    )
    splits = config.load()
    assert sum(len(split) for split in splits.named().values()) == 10


def test_a_missing_table_is_an_error_of_the_recipe(memory: Any) -> None:
    config = config_of("memory://bucket/absent.csv")
    message = "memory://bucket/absent.csv cannot be read: there is no such file."
    assert list(config.problems()) == [(("path",), message)]


def test_a_missing_package_says_what_to_install() -> None:
    message = "gs:// addresses need a package: pip install 'pipeline[gcs]'."
    assert list(config_of("gs://bucket/labels.csv").problems()) == [(("path",), message)]
    folder = ImageFolderConfig(source="image_folder", path="gs://bucket/folder")
    assert list(folder.problems()) == [(("path",), message)]
