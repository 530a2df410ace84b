"""A folder that several machines write to."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.storage import Storage, is_remote


@pytest.fixture(params=["directory", "memory", pytest.param("s3", marks=pytest.mark.slow)])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    if request.param == "directory":
        yield Storage(str(tmp_path / "shared"))
        return
    address = request.getfixturevalue("s3") if request.param == "s3" else "memory://bucket"
    yield Storage(f"{address}/shared")
    Storage(address).remove("shared")


def test_a_file_is_read_as_it_was_written(storage: Storage) -> None:
    assert not storage.exists("features/0")

    storage.write_bytes("features/0", b"first")
    storage.write_bytes("features/0", memoryview(b"second"))

    assert storage.exists("features/0")
    assert pickle.loads(pickle.dumps(storage)).read_bytes("features/0") == b"second"


def test_a_missing_file_cannot_be_read(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.read_bytes("features/0")


def test_the_files_of_a_folder_are_named_from_the_storage_on(storage: Storage) -> None:
    for name in ("features/1", "features/0", "other/2"):
        storage.write_bytes(name, b"x")

    assert storage.names("features") == ["features/0", "features/1"]
    assert storage.names() == ["features/0", "features/1", "other/2"]


def test_a_folder_is_removed_with_its_files(storage: Storage) -> None:
    storage.write_bytes("features/0", b"x")
    storage.write_bytes("other/2", b"x")

    storage.remove("features")
    storage.remove("features")

    assert storage.names() == ["other/2"]


def test_a_protocol_without_its_package_says_what_to_install() -> None:
    with pytest.raises(PipelineError) as caught:
        Storage("gs://bucket/folder").exists("x")

    assert str(caught.value) == "gs:// addresses need a package: pip install 'pipeline[gcs]'."


def test_an_unknown_protocol_is_an_error() -> None:
    with pytest.raises(PipelineError) as caught:
        Storage("sftpx://bucket/folder").exists("x")

    assert str(caught.value) == (
        "sftpx://bucket/folder is no address that can be used: Protocol not known: sftpx."
    )


def test_a_directory_that_cannot_be_written_to_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(PipelineError) as caught:
        Storage(str(tmp_path / "file")).write_bytes("x", b"")

    assert str(caught.value) == f"Cannot write to {tmp_path}/file/x: File exists."


@pytest.mark.parametrize(
    ("address", "expected"),
    [("s3://bucket", True), ("/data", False), ("C:/data", False), ("a/b://c", False)],
)
def test_an_address_with_a_protocol_is_remote(address: str, expected: bool) -> None:
    assert is_remote(address) is expected


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_an_error(s3: str) -> None:
    with pytest.raises(PipelineError, match=r"^Cannot write to s3://absent/x: .*bucket"):
        Storage("s3://absent/x").write_bytes("name", b"x")


def test_a_password_in_an_address_is_not_shown() -> None:
    with pytest.raises(PipelineError) as caught:
        Storage("sftpx://user:secret@bucket/folder").exists("x")

    assert str(caught.value) == (
        "sftpx://user:***@bucket/folder is no address that can be used: Protocol not known: sftpx."
    )
