"""Decoding of image files."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.data.image_decoding import (
    BadImageError,
    Decoding,
    Resize,
    decode_image,
    read_image_file,
    resize_images,
)

ORIENTATION = 0x0112
NO_IMAGE = "not an image, or of a format that is not supported"


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def decoded(data: bytes, size: tuple[int, int] = (64, 96), resize: Resize = "crop") -> np.ndarray:
    return decode_image(data, Decoding(size, resize))


def difference(one: np.ndarray, other: Image.Image | np.ndarray) -> float:
    """Return the mean absolute difference."""
    return float(np.abs(one.astype(float) - np.asarray(other).astype(float)).mean())


def test_pixels_are_uint8_rgb(photo: Image.Image) -> None:
    pixels = decoded(encoded(photo, "JPEG"))
    assert (pixels.dtype, pixels.shape) == (np.uint8, (64, 96, 3))


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "MPO"])
def test_the_first_frame_of_an_animation_is_used(photo: Image.Image, file_format: str) -> None:
    black = Image.new("RGB", photo.size)
    data = encoded(photo, file_format, save_all=True, append_images=[black, black])
    assert difference(decoded(data), photo) < 10


def test_the_placeholder_among_the_photographs_decodes(photographs: Path) -> None:
    data = read_image_file(photographs / "train" / "ants" / "imageNotFound.gif")
    assert decoded(data, (32, 32)).std() > 5


STORED_AS = {  # EXIF orientation: how an upright image lies in such a file
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", STORED_AS)
def test_the_exif_orientation_is_applied(photo: Image.Image, orientation: int) -> None:
    turn = STORED_AS[orientation]
    stored = photo if turn is None else photo.transpose(turn)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    np.testing.assert_array_equal(decoded(encoded(stored, "PNG", exif=exif)), photo)


def test_a_rotated_jpeg_of_a_phone_is_upright(photo: Image.Image) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    data = encoded(photo.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif)
    assert difference(decoded(data), photo) < 3


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_a_corrupt_exif_block_is_ignored(photo: Image.Image) -> None:
    broken = encoded(photo, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff no directory")
    np.testing.assert_array_equal(decoded(broken), decoded(encoded(photo, "JPEG")))


@pytest.mark.parametrize("mode", ["L", "1", "P"])
def test_grayscale_bilevel_and_palette_images_become_rgb(photo: Image.Image, mode: str) -> None:
    image = photo.convert(mode)
    np.testing.assert_array_equal(decoded(encoded(image, "PNG")), image.convert("RGB"))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_become_white(photo: Image.Image, mode: str) -> None:
    alpha = np.full((64, 96), 255, np.uint8)
    alpha[:, :32], alpha[:, 32:64] = 0, 128
    image = photo.convert(mode)
    image.putalpha(Image.fromarray(alpha))
    expected = np.asarray(image.convert(mode[:-1]).convert("RGB")).astype(float)
    expected[:, :32] = 255
    expected[:, 32:64] += (255 - expected[:, 32:64]) * (127 / 255)
    np.testing.assert_allclose(decoded(encoded(image, "PNG")), expected, atol=1)


@pytest.mark.parametrize("file_format", ["PNG", "GIF"])
def test_a_transparent_palette_colour_becomes_white(photo: Image.Image, file_format: str) -> None:
    image = photo.quantize(16)
    numbers = np.asarray(image)
    expected = np.array(image.convert("RGB"))
    expected[numbers == 3] = 255
    data = encoded(image, file_format, transparency=3)
    np.testing.assert_array_equal(decoded(data), expected)


def test_a_cmyk_jpeg_keeps_its_colours(photo: Image.Image) -> None:
    data = encoded(photo.convert("CMYK"), "JPEG", quality=95)
    assert difference(decoded(data), photo) < 6


@pytest.mark.parametrize("resize", ["crop", "pad", "squash"])
@pytest.mark.parametrize("size", [(1, 1), (7, 50), (50, 7), (64, 96), (224, 224)])
@pytest.mark.parametrize("stored", [(1, 1), (1, 5000), (5000, 1), (96, 64)])
def test_every_image_gets_the_size(
    photo: Image.Image, stored: tuple[int, int], size: tuple[int, int], resize: Resize
) -> None:
    data = encoded(photo.resize(stored), "PNG")
    assert decoded(data, size, resize).shape == (*size, 3)


def test_crop_keeps_the_aspect_ratio_and_the_center(photo: Image.Image) -> None:
    expected = photo.crop((16, 0, 80, 64)).resize((32, 32), Image.Resampling.BILINEAR)
    assert difference(decoded(encoded(photo, "PNG"), (32, 32), "crop"), expected) < 2


def test_pad_keeps_the_whole_image_between_black_borders(photo: Image.Image) -> None:
    pixels = decoded(encoded(photo, "PNG"), (96, 96), "pad")
    np.testing.assert_array_equal(pixels[16:80], photo)
    assert not pixels[:16].any()
    assert not pixels[80:].any()


def test_squash_keeps_the_whole_image_and_fills_the_size(photo: Image.Image) -> None:
    expected = photo.resize((32, 32), Image.Resampling.BILINEAR)
    assert difference(decoded(encoded(photo, "PNG"), (32, 32), "squash"), expected) < 2


@pytest.mark.parametrize("resize", ["crop", "pad", "squash"])
def test_reduced_decoding_of_large_jpegs_is_close_to_full_decoding(
    photographs: Path, resize: Resize
) -> None:
    path = next((photographs / "val" / "ants").glob("ants-devouring*"))
    with Image.open(path) as image:
        assert min(image.size) > 1900
        full = encoded(image.convert("RGB"), "BMP")
    shortcut = decoded(path.read_bytes(), (224, 224), resize)
    assert difference(shortcut, decoded(full, (224, 224), resize)) < 2


def test_a_truncated_jpeg_is_called_truncated(photo: Image.Image) -> None:
    data = encoded(photo, "JPEG")
    with pytest.raises(BadImageError) as caught:
        decoded(data[:-300])
    assert str(caught.value).startswith("image file is truncated (")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"This is a note.\n", NO_IMAGE),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", NO_IMAGE),
        (bytes(1000), NO_IMAGE),
    ],
    ids=["zero bytes", "text", "svg", "zeros"],
)
def test_a_file_that_is_not_an_image_is_rejected(data: bytes, reason: str) -> None:
    with pytest.raises(BadImageError) as caught:
        decoded(data)
    assert str(caught.value) == reason


def test_a_file_that_ends_in_its_header_says_which_format_it_began_as() -> None:
    with pytest.raises(BadImageError) as caught:
        decoded(b"\xff\xd8\xff")
    assert str(caught.value) == ("its JPEG header cannot be read: not identified by this driver")


def test_a_png_with_the_suffix_jpg_is_decoded(photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded(photo, "PNG"))
    np.testing.assert_array_equal(decoded(read_image_file(path)), photo)


@pytest.mark.parametrize(
    ("name", "reason"), [("absent.jpg", "No such file or directory"), ("", "Is a directory")]
)
def test_a_file_that_cannot_be_read_is_rejected(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(BadImageError) as caught:
        read_image_file(tmp_path / name)
    assert str(caught.value) == reason


def test_a_pipe_is_rejected_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(BadImageError) as caught:
        read_image_file(tmp_path / "pipe.jpg")
    assert str(caught.value) == "not a regular file"


def test_a_link_to_an_endless_device_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    with pytest.raises(BadImageError) as caught:
        read_image_file(tmp_path / "zero.jpg")
    assert str(caught.value) == "not a regular file"


def test_a_link_to_itself_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    with pytest.raises(BadImageError) as caught:
        read_image_file(tmp_path / "loop.jpg")
    assert str(caught.value) == "Too many levels of symbolic links"


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(2**29 + 1)  # sparse: it takes no room
    with pytest.raises(BadImageError) as caught:
        read_image_file(tmp_path / "large.jpg")
    assert str(caught.value) == "larger than 536,870,912 bytes"


def test_grayscale_images_of_the_right_size_are_unchanged(mnist_images: np.ndarray) -> None:
    assert resize_images(mnist_images, (28, 28)) is mnist_images


@pytest.mark.parametrize("size", [(14, 14), (32, 32), (20, 40)])
def test_grayscale_images_are_resized(mnist_images: np.ndarray, size: tuple[int, int]) -> None:
    scaled = resize_images(mnist_images, size)
    assert (scaled.dtype, scaled.shape) == (np.uint8, (len(mnist_images), *size, 1))
    np.testing.assert_allclose(scaled.mean((1, 2)), mnist_images.mean((1, 2)), atol=6)


@pytest.fixture(scope="module")
def mnist_images(mnist_file: Path) -> np.ndarray:
    with np.load(mnist_file) as archive:
        return archive["x_test"][:20, ..., np.newaxis]
