"""A folder of another machine is the same data set as a copy of it on this one."""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipeline.data import image_loading, remote_files
from pipeline.data.file_root import FileRoot
from pipeline.data.file_walk import find_images, walk_files
from pipeline.data.image_folder import ImageFolderConfig
from pipeline.data.remote_path import RemotePath
from pipeline.data.splits import Splits
from pipeline.errors import DataError

Plant = Callable[[Path, Mapping[str, int]], Path]
CLASSES = {"ants": 8, "bees": 7}
SPLITS = {"train/ants": 4, "train/bees": 3, "val/ants": 2, "val/bees": 2}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait before another attempt."""
    monkeypatch.setattr(remote_files, "_DELAYS", (0.0, 0.0))


@pytest.fixture
def memory() -> Iterator[Any]:
    """The file system `memory://`, which is empty before and after."""
    system = fsspec.filesystem("memory")
    MemoryFileSystem.store.clear()
    yield system
    MemoryFileSystem.store.clear()


@pytest.fixture
def downloads(memory: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are downloaded."""
    names: list[str] = []
    read = MemoryFileSystem.cat_file

    def record(self: Any, path: str, *arguments: Any, **options: Any) -> bytes:
        names.append(os.path.basename(path))  # noqa: PTH119
        return bytes(read(self, path, *arguments, **options))

    monkeypatch.setattr(MemoryFileSystem, "cat_file", record)
    return names


@pytest.fixture
def folder(tmp_path: Path, plant: Plant, memory: Any) -> Path:
    """Photographs of two classes, of which memory://bucket/insects is a copy."""
    plant(tmp_path / "insects", CLASSES)
    copy_folder(tmp_path / "insects", memory, "/bucket/insects")
    return tmp_path / "insects"


def copy_folder(local: Path, system: Any, remote: str) -> None:
    for path in local.rglob("*.jpg"):
        system.pipe_file(f"{remote}/{path.relative_to(local)}", path.read_bytes())


def config_of(path: Path | str, **keys: Any) -> ImageFolderConfig:
    return ImageFolderConfig(
        **{"source": "image_folder", "path": str(path), "image_size": (16, 16), **keys}
    )


def assert_same(one: Splits, other: Splits) -> None:
    assert one.class_names == other.class_names
    assert one.named().keys() == other.named().keys()
    for name, split in one.named().items():
        its = other.named()[name]
        assert (list(split.names), split.digest) == (list(its.names), its.digest)
        indices = np.arange(len(split))
        np.testing.assert_array_equal(split.images.read(indices), its.images.read(indices))


def test_the_splits_and_digests_are_those_of_a_local_copy(folder: Path) -> None:
    keys: dict[str, Any] = {"test": 0.2, "leakage": "error"}
    assert_same(
        config_of("memory://bucket/insects", **keys).load(), config_of(folder, **keys).load()
    )


def test_directories_of_splits_are_found(tmp_path: Path, plant: Plant, memory: Any) -> None:
    local = plant(tmp_path / "data", SPLITS)
    copy_folder(local, memory, "/data")
    assert_same(config_of("memory://data/").load(), config_of(local).load())


def test_files_are_walked_in_the_same_order(tmp_path: Path, memory: Any) -> None:
    for name in ("b/1.jpg", "b/a/2.jpg", "a.jpg", "b.jpg", ".hidden/3.jpg", "c/.4.jpg", "b-/5.jpg"):
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        memory.pipe_file(f"/files/{name}", b"")
    remote = list(walk_files(RemotePath("memory://files")))
    assert remote == list(walk_files(tmp_path / "files"))
    assert [name for name, _ in remote] == [
        *("a.jpg", "b.jpg", "b/1.jpg", "b/a/2.jpg", "b-/5.jpg", "c/.4.jpg")
    ]


def test_a_second_run_downloads_nothing(folder: Path, downloads: list[str]) -> None:
    first = config_of("memory://bucket/insects").load()
    assert sorted(downloads) == sorted(path.name for path in folder.rglob("*.jpg"))
    downloads.clear()
    assert_same(config_of("memory://bucket/insects").load(), first)
    assert downloads == []


def test_a_changed_file_is_downloaded_again(
    folder: Path, memory: Any, downloads: list[str]
) -> None:
    before = config_of("memory://bucket/insects").load()
    other = next((folder / "bees").iterdir()).read_bytes()
    changed = sorted((folder / "ants").iterdir())[0].name
    memory.pipe_file(f"/bucket/insects/ants/{changed}", other)
    downloads.clear()
    after = config_of("memory://bucket/insects").load()
    assert set(downloads) == {changed}
    assert after.digest != before.digest


def test_a_new_file_is_found_by_the_next_run(folder: Path, memory: Any) -> None:
    config = config_of("memory://bucket/insects")
    assert list(config.problems()) == []
    memory.pipe_file("/bucket/insects/ants/new.jpg", next((folder / "ants").iterdir()).read_bytes())
    names = {name for split in config.load().named().values() for name in split.names}
    assert "ants/new.jpg" in names


def test_the_limit_of_the_cache_has_no_effect_on_local_data(folder: Path) -> None:
    message = "has no effect: the data is on this machine."
    assert list(config_of(folder, cache_gb=2).warnings()) == [(("cache_gb",), message)]
    assert list(config_of("memory://bucket/insects", cache_gb=2).warnings()) == []


def test_what_does_not_fit_in_the_cache_is_downloaded_again(
    folder: Path,
    downloads: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(image_loading, "MAX_BYTES_IN_MEMORY", 0)
    size = sum(path.stat().st_size for path in folder.rglob("*.jpg"))
    with caplog.at_level(logging.WARNING):
        splits = config_of("memory://bucket/insects", cache_gb=size / 2 / 2**30).load()
    (warning,) = [r.getMessage() for r in caplog.records if "cache_gb" in r.getMessage()]
    assert warning == (
        f"The images take {size / 2**30:.3g} GiB, and data.cache_gb keeps "
        f"{size / 2 / 2**30:.3g} GiB of downloaded files: each epoch downloads again what was "
        "removed. Increase data.cache_gb if the disk has the space."
    )
    downloads.clear()
    indices = np.arange(len(splits.train))
    whole = config_of(folder).load().train.images.read(indices)
    for _ in range(2):
        np.testing.assert_array_equal(splits.train.images.read(indices), whole)
    assert len(downloads) > len(indices)


@pytest.mark.parametrize("is_part", [True, False])
@pytest.mark.parametrize("is_in_memory", [True, False])
def test_images_can_be_sent_to_another_machine(
    folder: Path,
    cache: Path,
    downloads: list[str],
    monkeypatch: pytest.MonkeyPatch,
    is_in_memory: bool,
    is_part: bool,
) -> None:
    if not is_in_memory:
        monkeypatch.setattr(image_loading, "MAX_BYTES_IN_MEMORY", 0)
    split = config_of("memory://bucket/insects").load().train
    if is_part:
        split = replace(split, images=split.images.part(np.arange(len(split))))
    sent = pickle.dumps(split)
    assert b"fsspec" not in sent  # no connection
    expected = split.images.read(np.arange(len(split)))
    monkeypatch.setenv("PIPELINE_CACHE", str(cache / "of another machine"))
    downloads.clear()
    monkeypatch.setattr(MemoryFileSystem, "info", lambda *_: pytest.fail("a file is asked for"))
    received = pickle.loads(sent)
    indices = np.arange(len(received))
    for _ in range(2):
        np.testing.assert_array_equal(received.images.read(indices), expected)
    assert len(downloads) == (0 if is_in_memory and not is_part else len(indices))


def test_a_local_folder_is_sent_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_loading, "MAX_BYTES_IN_MEMORY", 0)
    split = config_of(folder).load().train
    indices = np.arange(len(split))
    received = pickle.loads(pickle.dumps(split))
    np.testing.assert_array_equal(received.images.read(indices), split.images.read(indices))


def test_a_transient_error_is_tried_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter([OSError("the connection was reset"), TimeoutError()])
    read = MemoryFileSystem.cat_file

    def fail_twice(self: Any, path: str, **options: Any) -> bytes:
        if error := next(failures, None):
            raise error
        return bytes(read(self, path, **options))

    monkeypatch.setattr(MemoryFileSystem, "cat_file", fail_twice)
    assert_same(config_of("memory://bucket/insects").load(), config_of(folder).load())
    assert next(failures, None) is None


def test_a_lasting_error_names_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = sorted((folder / "bees").iterdir())[0].name
    read = MemoryFileSystem.cat_file

    def fail(self: Any, path: str, **options: Any) -> bytes:
        if name in path:
            raise OSError("https://user:password@host is down")
        return bytes(read(self, path, **options))

    monkeypatch.setattr(MemoryFileSystem, "cat_file", fail)
    with pytest.raises(DataError) as error:
        config_of("memory://bucket/insects").load()
    assert str(error.value) == (
        f"memory://bucket/insects/bees/{name} cannot be read: https://user:***@host is down. "
        "Check the address and the network."
    )


def test_a_file_that_is_denied_is_unreadable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = sorted((folder / "bees").iterdir())[0].name
    read = MemoryFileSystem.cat_file

    def deny(self: Any, path: str, **options: Any) -> bytes:
        if name in path:
            raise PermissionError("Access Denied")
        return bytes(read(self, path, **options))

    monkeypatch.setattr(MemoryFileSystem, "cat_file", deny)
    splits = config_of("memory://bucket/insects").load()
    assert [(file.name, file.reason) for file in splits.quarantined] == [
        (f"bees/{name}", "the server denies it: Access Denied")
    ]


def test_a_file_that_changes_while_it_is_read_is_unreadable(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = sorted((folder / "bees").iterdir())[0].name
    read = MemoryFileSystem.cat_file

    def shorten(self: Any, path: str, **options: Any) -> bytes:
        content = bytes(read(self, path, **options))
        return content[:-1] if name in path else content

    monkeypatch.setattr(MemoryFileSystem, "cat_file", shorten)
    splits = config_of("memory://bucket/insects").load()
    assert [(file.name, file.reason) for file in splits.quarantined] == [
        (f"bees/{name}", "it was changed after it was listed")
    ]


def test_an_empty_folder_is_an_error_of_the_recipe(memory: Any) -> None:
    config = config_of("memory://bucket/absent")
    message = "there is no file below memory://bucket/absent. Check the address."
    assert list(config.problems()) == [(("path",), message)]
    with pytest.raises(DataError) as error:
        config.load()
    assert str(error.value) == f"data.path: {message}"


def test_hostile_names_stay_in_the_cache(tmp_path: Path, folder: Path, memory: Any) -> None:
    content = next((folder / "ants").iterdir()).read_bytes()
    before = set(tmp_path.rglob("*"))
    for name in (
        "../../up.jpg",
        "/etc/root.jpg",
        "a\nb.jpg",
        "a::file:/x.jpg",
        "C:\\x.jpg",
        "\0.jpg",
    ):
        MemoryFileSystem.store[f"/bucket/insects/ants/{name}"] = memory.open("/x", "wb")
        memory.pipe_file("/x", content)
        MemoryFileSystem.store[f"/bucket/insects/ants/{name}"] = MemoryFileSystem.store["/x"]
    found = {name for name, _ in walk_files(RemotePath("memory://bucket/insects/ants"))}
    local = {path.name for path in (folder / "ants").iterdir()}
    assert found - local == {"a\nb.jpg", "a::file:/x.jpg", "C:\\x.jpg"}
    config_of("memory://bucket/insects").load()
    assert set(tmp_path.rglob("*")) == before


def test_images_below_a_folder_are_found_for_prediction(folder: Path, memory: Any) -> None:
    memory.pipe_file("/bucket/insects/labels.csv", b"image,label\n")
    memory.pipe_file("/bucket/insects/photo", next((folder / "ants").iterdir()).read_bytes())
    images, ignored = find_images(RemotePath("memory://bucket/insects"))
    expected = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.jpg"))
    assert [str(path) for path in images] == [
        f"memory://bucket/insects/{name}" for name in ("photo", *expected)
    ]
    assert ignored == {".csv": 1}
    path = pickle.loads(pickle.dumps(images[1]))
    assert path.state is not None
    assert FileRoot(path.parent).read(path.name) == (folder / expected[0]).read_bytes()
