"""What a file is depends on its content; its suffix says whether it should have been an image."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data.file_examination import Verdict, examine_file
from pipeline.data.image_decoding import Decoding, decode_image


def content_of(photo: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    photo.save(file, "JPEG")
    contents = {
        "image": file.getvalue(),
        "torn image": file.getvalue()[: len(file.getvalue()) // 2],
        "text": b"no image",
        "nothing": b"",
    }
    return contents[kind]


@pytest.mark.parametrize(
    ("name", "kind", "verdict"),
    [
        ("a.jpg", "image", Verdict.IMAGE),
        ("a.png", "image", Verdict.IMAGE),
        ("a", "image", Verdict.IMAGE),
        ("a.dat", "image", Verdict.IMAGE),
        ("a.jpg", "torn image", Verdict.UNREADABLE),
        ("a.part", "torn image", Verdict.UNREADABLE),
        ("a.jpg", "text", Verdict.UNREADABLE),
        ("a.jpg", "nothing", Verdict.UNREADABLE),
        ("a.txt", "text", Verdict.NO_IMAGE),
        ("a", "text", Verdict.NO_IMAGE),
        ("a.txt", "nothing", Verdict.NO_IMAGE),
    ],
)
def test_the_content_decides_what_a_file_is(
    tmp_path: Path, photo: Image.Image, name: str, kind: str, verdict: Verdict
) -> None:
    content = content_of(photo, kind)
    (tmp_path / name).write_bytes(content)
    examined = examine_file(str(tmp_path / name), None)
    assert (examined.verdict, examined.is_lasting) == (verdict, True)
    assert examined.digest == hashlib.sha256(content).digest()
    assert bool(examined.reason) == (verdict != Verdict.IMAGE)


@pytest.mark.parametrize(
    ("name", "verdict"), [("a.jpg", Verdict.UNREADABLE), ("a.txt", Verdict.NO_IMAGE)]
)
def test_that_a_file_cannot_be_opened_may_change(
    tmp_path: Path, name: str, verdict: Verdict
) -> None:
    examined = examine_file(str(tmp_path / name), None)
    assert (examined.verdict, examined.is_lasting) == (verdict, False)
    assert examined.reason == "No such file or directory"


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_those_of_decode_image(
    tmp_path: Path, photo: Image.Image, channels: int
) -> None:
    data = content_of(photo, "image")
    (tmp_path / "a.jpg").write_bytes(data)
    decoding = Decoding((20, 30), "crop", channels)
    examined = examine_file(str(tmp_path / "a.jpg"), decoding)
    assert examined.pixels is not None
    np.testing.assert_array_equal(examined.pixels, decode_image(data, decoding))
    assert examined.facts is not None
    assert (examined.facts.height, examined.facts.width) == (64, 96)


def test_the_thumbnail_does_not_depend_on_the_channels(tmp_path: Path, photo: Image.Image) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    photo.save(tmp_path / "a.png")
    decodings = (None, Decoding((64, 64), "pad"), Decoding((20, 30), "crop", 1))
    thumbnails = [examine_file(str(tmp_path / "a.png"), each).thumbnail for each in decodings]
    assert thumbnails[0] is not None
    for thumbnail in thumbnails[1:]:
        np.testing.assert_array_equal(thumbnail, thumbnails[0])
    expected = np.asarray(photo.resize((16, 16), Image.Resampling.BOX), int)
    assert np.abs(thumbnails[0] - expected).mean() < 8


def test_samples_of_more_than_8_bits_fill_the_thumbnail(tmp_path: Path) -> None:
    ramp = np.linspace(100, 900, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    examined = examine_file(str(tmp_path / "a.png"), Decoding((64, 64), "crop"))
    assert examined.facts is not None
    assert (examined.facts.bits, examined.facts.lowest, examined.facts.highest) == (16, 100, 900)
    assert examined.thumbnail is not None
    assert (examined.thumbnail.min() < 15, examined.thumbnail.max() > 240) == (True, True)
    assert examined.pixels is None
