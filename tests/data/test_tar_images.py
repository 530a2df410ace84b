"""Images in tar files."""

from __future__ import annotations

import gc
import gzip
import io
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image

from pipeline.data import image_decoding, tar_images
from pipeline.data.tar_images import BadTarError, TarImage, read_tar_images

PNG = b"\x89PNG\r\n\x1a\nthe rest"
TOO_LONG = "damaged: a header has 1,099,511,627,776 bytes; 1,048,576 are allowed"
NOT_REGULAR = "not a regular file, but a link or a device"


def tar(
    members: Iterable[tuple[str, bytes]], *, tar_format: int = tarfile.PAX_FORMAT, mode: str = "w"
) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode, format=tar_format) as archive:  # type: ignore[call-overload]
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def read(data: bytes) -> list[TarImage]:
    return list(read_tar_images(io.BytesIO(data)))


def reason(data: bytes) -> str:
    with pytest.raises(BadTarError) as caught:
        read(data)
    return str(caught.value)


@pytest.mark.parametrize(
    "tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
)
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_images_are_read_with_their_names(tar_format: int, mode: str) -> None:
    members = [("a/1.png", PNG), ("a" * 80 + "/" + "b" * 90 + ".jpg", b"x" * 1000), ("3", PNG)]
    if tar_format != tarfile.USTAR_FORMAT:
        members.append(("ü" * 200 + ".png", PNG))
    found = read(tar(members, tar_format=tar_format, mode=mode))
    assert found == [TarImage(name, content) for name, content in members]


def test_what_is_no_image_or_hidden_is_skipped() -> None:
    members = [
        *[("1.png", PNG), ("1.cls", b"7"), ("1.json", b"{}"), ("1.txt", b"an ant")],
        *[("._2.png", PNG), (".cache/3.png", PNG), ("empty", b""), ("4.jpg", b"")],
    ]
    assert [image.name for image in read(tar(members))] == ["1.png", "4.jpg"]


def test_links_and_devices_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real.png").write_bytes(PNG)
    (tmp_path / "link.png").symlink_to("/etc/passwd")
    os.link(tmp_path / "real.png", tmp_path / "same.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.txt").symlink_to("/etc/passwd")
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in ("real.png", "link.png", "same.png", "pipe.png", "link.txt"):
            archive.add(tmp_path / name, name)
    assert read(file.getvalue()) == [
        TarImage("real.png", PNG),
        *[TarImage(name, b"", NOT_REGULAR) for name in ("link.png", "same.png", "pipe.png")],
    ]


def test_a_member_that_is_too_large_is_an_error_and_the_next_one_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tar_images, "MAX_BYTES", 2000)
    found = read(tar([("large.png", PNG + bytes(2000)), ("small.png", PNG)]))
    assert found == [
        TarImage("large.png", b"", "larger than 2,000 bytes"),
        TarImage("small.png", PNG),
    ]
    assert image_decoding.MAX_BYTES == 2**29


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "the file is empty"),
        (b"no tar file" * 100, "not a tar file"),
        (tar([("1.png", PNG * 100)])[:700], "damaged: it ends in the middle of a member"),
        (header("1.txt", 9000) + bytes(8999), "damaged: it ends in the middle of a member"),
        (header("1.txt", 8 * 2**60), "damaged: the size of a member is not valid"),
        (header("1.txt", 2**50), "damaged: it ends in the middle of a member"),
        (
            header("1.png", 1) + bytes(512) + b"x" * 512,
            "damaged: the header of a member is not valid",
        ),
        (header("1.png", 0)[:300], "not a tar file"),
        (
            header("1.png", kind=tarfile.GNUTYPE_SPARSE),
            "it has a sparse member. Pack the files without sparse ones",
        ),
        (header("x", 2**40, b"L"), TOO_LONG),
        (header("x", 2**40, b"x"), TOO_LONG),
        (
            header("x", 9, b"x") + b"-5 path=a".ljust(512, b"\0"),
            "damaged: the extended header of a member is not valid",
        ),
        (
            header("x", 20, b"x") + b"20 size=-5\n".ljust(512, b"\0") + header("1.png"),
            "damaged: the extended header of a member is not valid",
        ),
        (
            header("x", 11, b"x") + b"11 size=-5\n".ljust(512, b"\0") + header("1.png"),
            "damaged: the size of a member is not valid",
        ),
        (gzip.compress(tar([("1.png", PNG)]))[:60], "damaged: Compressed file ended before"),
        (b"\x1f\x8bno gzip", "damaged: "),
    ],
)  # fmt: skip
def test_a_damaged_tar_file_is_an_error(data: bytes, expected: str) -> None:
    assert reason(data).startswith(expected)


def test_images_before_the_damage_are_read() -> None:
    data = tar([("1.png", PNG), ("2.png", PNG * 100)])
    images = read_tar_images(io.BytesIO(data[:1600]))
    assert next(images) == TarImage("1.png", PNG)
    with pytest.raises(BadTarError):
        next(images)


def test_a_decompression_bomb_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(header("1.txt", 2**25) + bytes(2**25))
    assert read(bomb) == []
    monkeypatch.setattr(tar_images, "_MAX_UNCHECKED", 2**22)
    assert reason(bomb) == "it decompresses to more than 100 times its size"


@pytest.mark.slow
def test_the_headers_of_earlier_members_are_not_kept() -> None:
    images = read_tar_images(io.BytesIO(tar((f"{number}.png", PNG) for number in range(50))))
    gc.collect()
    for _ in images:
        assert sum(isinstance(each, tarfile.TarInfo) for each in gc.get_objects()) <= 2


def test_real_images_are_found_by_their_content() -> None:
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "JPEG")
    assert [image.name for image in read(tar([("no_suffix", file.getvalue())]))] == ["no_suffix"]
