"""Captioned images: embedded in a page, under a heatmap, and in a grid."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from pipeline.evaluation import captioned_images
from pipeline.evaluation.captioned_images import CaptionedImage


def decoded(uri: str) -> tuple[str, np.ndarray]:
    kind, _, data = uri.partition(";base64,")
    return kind, np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_a_small_image_is_embedded_without_loss() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 1), np.uint8)
    kind, shown = decoded(captioned_images.data_uri(image))
    assert kind == "data:image/png"
    np.testing.assert_array_equal(shown, image[..., 0])


def test_a_large_photograph_is_scaled_down() -> None:
    image = np.full((600, 300, 3), (200, 30, 30), np.uint8)
    kind, shown = decoded(captioned_images.data_uri(image))
    assert (kind, shown.shape) == ("data:image/jpeg", (256, 128, 3))
    assert np.abs(shown.mean(axis=(0, 1)) - (200, 30, 30)).max() < 3


def test_an_overlay_changes_only_pixels_with_heat() -> None:
    image, heatmap = np.full((4, 4, 1), 100, np.uint8), np.zeros((4, 4))
    heatmap[0, 0] = 1
    overlay = captioned_images.heatmap_overlay(CaptionedImage(image, "", "", heatmap))
    assert overlay is not None
    assert (overlay[1:] == 100).all()
    assert abs(int(overlay[0, 0, 0]) - int(overlay[0, 0, 2])) > 10
    assert captioned_images.heatmap_overlay(CaptionedImage(image, "", "")) is None


def test_a_grid_has_six_images_in_a_row() -> None:
    image = np.zeros((32, 32, 3), np.uint8)

    def grid_size(count: int) -> tuple[int, int]:
        png = captioned_images.image_grid(
            [CaptionedImage(image, "name.jpg", "true: ants · predicted: bees")] * count
        )
        with Image.open(io.BytesIO(png)) as opened:
            return opened.size

    one, six, seven = grid_size(1), grid_size(6), grid_size(7)
    assert six[0] == seven[0] > 5 * one[0]
    assert one[1] == six[1] < seven[1]


@pytest.mark.parametrize(
    ("text", "shown"), [("a\nb", "a\ufffdb"), ("caf\udce9", "caf?"), ("蟻", "蟻")]
)
def test_unprintable_characters_are_replaced(text: str, shown: str) -> None:
    assert captioned_images.printable(text) == shown


def test_the_end_of_a_long_name_is_kept() -> None:
    assert captioned_images.keep_end("train/bees/1234567.jpg", 12) == "…1234567.jpg"


def test_a_line_wider_than_its_tile_keeps_its_end() -> None:
    font = captioned_images._font()
    shown = captioned_images._fit_to_tile("WWWWWWWWWWWWWWWWWWWWWWWWWWWW/photograph.jpg", font)
    assert shown.startswith("…W")
    assert shown.endswith("/photograph.jpg")
    assert font.getlength(shown) <= 168
