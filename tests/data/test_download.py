"""Downloading, verifying and unpacking archives."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.data.download import DownloadConfig, download_archive
from pipeline.errors import DataError

Pack = Callable[[Path, Mapping[str, bytes]], None]


def pack_zip(path: Path, content: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def pack_tar(path: Path, content: Mapping[str, bytes], *, mode: Any) -> None:
    with tarfile.open(path, mode) as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


PACKERS: dict[str, Pack] = {
    "photos.zip": pack_zip,
    "photos.tar": functools.partial(pack_tar, mode="w"),
    "photos.tar.gz": functools.partial(pack_tar, mode="w:gz"),
    "photos.tar.bz2": functools.partial(pack_tar, mode="w:bz2"),
    "photos.tar.xz": functools.partial(pack_tar, mode="w:xz"),
}
BOTH = pytest.mark.parametrize("name", ["photos.zip", "photos.tar.gz"])


@pytest.fixture
def content(small_photographs: dict[str, list[tuple[str, bytes]]]) -> dict[str, bytes]:
    """Four photographs by path, such as train/ants/….jpg."""
    return {
        f"{split}/{name}/{file}": data
        for name, photographs in small_photographs.items()
        for split, (file, data) in zip(("train", "val"), photographs, strict=False)
    }


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The directory to unpack the archive to."""
    return tmp_path / "data" / "photos"


def offer(archive: Path) -> DownloadConfig:
    """Return the configuration to download an archive, with the correct SHA-256."""
    return DownloadConfig(
        url=archive.as_uri(), sha256=hashlib.sha256(archive.read_bytes()).hexdigest().upper()
    )


def files_below(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def assert_nothing_was_left(tmp_path: Path, archive: Path) -> None:
    """Assert that there is only the archive and the empty directory data/."""
    assert sorted(tmp_path.rglob("*")) == sorted([archive, tmp_path / "data"])


@pytest.mark.parametrize("name", PACKERS)
def test_an_archive_becomes_the_folder(
    tmp_path: Path, directory: Path, content: dict[str, bytes], name: str
) -> None:
    PACKERS[name](tmp_path / name, content)
    download_archive(offer(tmp_path / name), directory)
    assert files_below(directory) == content
    assert list(directory.parent.iterdir()) == [directory]


@BOTH
@pytest.mark.parametrize("top", ["hymenoptera_data", "photos", "unpacked", "archive"])
def test_a_single_top_directory_is_removed(
    tmp_path: Path, directory: Path, content: dict[str, bytes], name: str, top: str
) -> None:
    PACKERS[name](tmp_path / name, {f"{top}/{path}": data for path, data in content.items()})
    download_archive(offer(tmp_path / name), directory)
    assert files_below(directory) == content
    assert list(directory.parent.iterdir()) == [directory]


def test_the_macosx_directory_is_ignored(
    tmp_path: Path, directory: Path, content: dict[str, bytes]
) -> None:
    packed = {f"photos/{path}": data for path, data in content.items()}
    pack_zip(tmp_path / "photos.zip", {**packed, "__MACOSX/photos/._a.jpg": b"resources"})
    download_archive(offer(tmp_path / "photos.zip"), directory)
    assert files_below(directory) == content


def test_an_archive_needs_no_suffix(
    tmp_path: Path, directory: Path, content: dict[str, bytes]
) -> None:
    PACKERS["photos.tar.gz"](tmp_path / "42", content)
    download_archive(offer(tmp_path / "42"), directory)
    assert files_below(directory) == content


def test_a_tar_that_ends_in_a_zip_is_a_tar(
    tmp_path: Path, directory: Path, content: dict[str, bytes]
) -> None:
    pack_zip(tmp_path / "inner.zip", {"inner.txt": b"inner"})
    content["train/inner.zip"] = (tmp_path / "inner.zip").read_bytes()
    PACKERS["photos.tar"](tmp_path / "photos.tar", content)
    download_archive(offer(tmp_path / "photos.tar"), directory)
    assert files_below(directory) == content


def test_the_url_is_logged(
    tmp_path: Path, directory: Path, content: dict[str, bytes], messages: list[str]
) -> None:
    pack_zip(tmp_path / "photos.zip", content)
    download_archive(offer(tmp_path / "photos.zip"), directory)
    assert messages == [f"Downloading file://{tmp_path}/photos.zip"]


def test_nothing_is_printed_to_standard_output(
    tmp_path: Path,
    directory: Path,
    content: dict[str, bytes],
    capsys: pytest.CaptureFixture[str],
) -> None:
    pack_zip(tmp_path / "photos.zip", content)
    download_archive(offer(tmp_path / "photos.zip"), directory)
    assert capsys.readouterr().out == ""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve tmp_path over HTTP."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@BOTH
def test_an_archive_is_downloaded_over_http(
    tmp_path: Path, directory: Path, content: dict[str, bytes], server: str, name: str
) -> None:
    PACKERS[name](tmp_path / name, content)
    sha256 = offer(tmp_path / name).sha256
    download_archive(DownloadConfig(url=f"{server}/{name}?download=1", sha256=sha256), directory)
    assert files_below(directory) == content


def test_a_url_that_the_server_does_not_know_is_an_error(
    tmp_path: Path, directory: Path, server: str
) -> None:
    with pytest.raises(DataError) as caught:
        download_archive(DownloadConfig(url=f"{server}/absent.zip", sha256="0" * 64), directory)
    assert str(caught.value) == (
        f"data.download: {server}/absent.zip could not be downloaded to {directory.parent} "
        "(HTTP Error 404: File not found). Download it yourself and unpack it to "
        f"{directory}."
    )
    assert list(directory.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            "file:///absent/photos.zip",
            "<urlopen error [Errno 2] No such file or directory: '/absent/photos.zip'>",
        ),
        ("http://127.0.0.1:1/photos.zip", "<urlopen error [Errno 111] Connection refused>"),
        ("http://127.0.0.1:port/photos.zip", "nonnumeric port: 'port'"),
        ("http://[::1/photos.zip", "Invalid IPv6 URL"),
        (
            "http://127.0.0.1:1/fünf.zip",
            "'ascii' codec can't encode character '\\xfc' in position 6: ordinal not in range(128)",
        ),
    ],
    ids=["absent", "nobody listens", "no port", "no address", "umlaut"],
)
def test_a_url_that_cannot_be_reached_is_an_error(
    directory: Path, monkeypatch: pytest.MonkeyPatch, url: str, reason: str
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(DataError) as caught:
        download_archive(DownloadConfig(url=url, sha256="0" * 64), directory)
    assert str(caught.value) == (
        f"data.download: {url} could not be downloaded to {directory.parent} ({reason}). "
        f"Download it yourself and unpack it to {directory}."
    )
    assert list(directory.parent.iterdir()) == []


@BOTH
def test_an_archive_with_the_wrong_checksum_is_rejected(
    tmp_path: Path, directory: Path, content: dict[str, bytes], name: str
) -> None:
    archive = tmp_path / name
    PACKERS[name](archive, content)
    received = hashlib.sha256(archive.read_bytes()).hexdigest()
    with pytest.raises(DataError) as caught:
        download_archive(DownloadConfig(url=archive.as_uri(), sha256="AB" * 32), directory)
    assert str(caught.value) == (
        f"data.download: file://{archive} has the wrong checksum and was not unpacked. "
        f"Expected SHA-256 {'ab' * 32}. Received {received}."
    )
    assert_nothing_was_left(tmp_path, archive)


@BOTH
@pytest.mark.parametrize("evil", ["../evil.txt", "photos/../../evil.txt", "../../../evil.txt"])
def test_a_member_outside_the_directory_is_rejected(
    tmp_path: Path, directory: Path, content: dict[str, bytes], name: str, evil: str
) -> None:
    archive = tmp_path / name
    PACKERS[name](archive, {**content, evil: b"evil"})
    with pytest.raises(DataError) as caught:
        download_archive(offer(archive), directory)
    assert str(caught.value) == (
        f"data.download: the archive is unsafe: {evil!r} would be written outside its directory."
    )
    assert_nothing_was_left(tmp_path, archive)


def test_an_absolute_path_in_a_zip_is_rejected(
    tmp_path: Path, directory: Path, content: dict[str, bytes]
) -> None:
    archive, evil = tmp_path / "photos.zip", str(tmp_path / "evil.txt")
    pack_zip(archive, {**content, evil: b"evil"})
    with pytest.raises(DataError) as caught:
        download_archive(offer(archive), directory)
    assert str(caught.value) == (
        f"data.download: the archive is unsafe: {evil!r} would be written outside its directory."
    )
    assert_nothing_was_left(tmp_path, archive)


def test_an_absolute_path_in_a_tar_stays_in_the_directory(
    tmp_path: Path, directory: Path, content: dict[str, bytes]
) -> None:
    evil = tmp_path / "evil.txt"
    PACKERS["photos.tar"](tmp_path / "photos.tar", {**content, str(evil): b"evil"})
    download_archive(offer(tmp_path / "photos.tar"), directory)
    assert not evil.exists()
    assert files_below(directory) == {**content, str(evil).lstrip("/"): b"evil"}


def test_a_link_in_a_zip_is_rejected(
    tmp_path: Path, directory: Path, content: dict[str, bytes]
) -> None:
    archive = tmp_path / "photos.zip"
    pack_zip(archive, content)
    link = zipfile.ZipInfo("train/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(link, str(tmp_path))
    with pytest.raises(DataError) as caught:
        download_archive(offer(archive), directory)
    assert str(caught.value) == (
        "data.download: the archive is unsafe: 'train/link' would be written outside its directory."
    )
    assert_nothing_was_left(tmp_path, archive)


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc"),
        (tarfile.SYMTYPE, "../../.."),
        (tarfile.LNKTYPE, "../../evil.txt"),
    ],
    ids=["absolute link", "relative link", "hard link"],
)
def test_a_link_out_of_a_tar_is_rejected(
    tmp_path: Path, directory: Path, kind: bytes, target: str
) -> None:
    archive = tmp_path / "photos.tar"
    link = tarfile.TarInfo("train/link")
    link.type, link.linkname = kind, target
    with tarfile.open(archive, "w") as file:
        file.addfile(link)
    with pytest.raises(DataError) as caught:
        download_archive(offer(archive), directory)
    assert str(caught.value) == (
        "data.download: the archive is unsafe: 'train/link' would be written outside its directory."
    )
    assert_nothing_was_left(tmp_path, archive)


def test_a_device_in_a_tar_is_rejected(tmp_path: Path, directory: Path) -> None:
    archive = tmp_path / "photos.tar"
    device = tarfile.TarInfo("train/disk")
    device.type = tarfile.BLKTYPE
    with tarfile.open(archive, "w") as file:
        file.addfile(device)
    with pytest.raises(DataError) as caught:
        download_archive(offer(archive), directory)
    assert str(caught.value) == ("data.download: the archive is unsafe: 'train/disk' is a device.")
    assert_nothing_was_left(tmp_path, archive)


@pytest.mark.parametrize("name", ["photos.zip", "photos.tar.gz", "photos.jpg"])
def test_a_file_that_is_not_an_archive_is_rejected(
    tmp_path: Path, directory: Path, name: str
) -> None:
    archive = tmp_path / name
    archive.write_bytes(b"<html>Please sign in</html>")
    with pytest.raises(DataError) as caught:
        download_archive(offer(archive), directory)
    assert str(caught.value) == (
        "data.download: the archive cannot be unpacked: File is not a zip file."
    )
    assert_nothing_was_left(tmp_path, archive)


@pytest.mark.parametrize("name", PACKERS)
def test_a_truncated_archive_is_rejected(
    tmp_path: Path, directory: Path, content: dict[str, bytes], name: str
) -> None:
    archive = tmp_path / name
    PACKERS[name](archive, content)
    archive.write_bytes(archive.read_bytes()[:-3000])
    with pytest.raises(DataError):
        download_archive(offer(archive), directory)
    assert_nothing_was_left(tmp_path, archive)


@pytest.mark.parametrize("url", ["ftp://host/a.zip", "photos.zip", "https://host/a b.zip", ""])
def test_an_invalid_url_is_rejected(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        DownloadConfig(url=url, sha256="0" * 64)
    (problem,) = caught.value.errors()
    assert (problem["loc"], problem["ctx"]["wording"]) == (("url",), "a URL, https://…")


@pytest.mark.parametrize("sha256", ["", "0" * 63, "g" * 64])
def test_an_invalid_sha256_is_rejected(sha256: str) -> None:
    with pytest.raises(ValidationError) as caught:
        DownloadConfig(url="https://host/a.zip", sha256=sha256)
    (problem,) = caught.value.errors()
    assert (problem["loc"], problem["ctx"]["wording"]) == (
        ("sha256",),
        "64 hexadecimal digits, quoted",
    )
