"""Pictures: what of an image is shown, and that it is that image."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from pipeline.evaluation import pictures
from pipeline.evaluation.pictures import CaptionedImage


def decoded(uri: str) -> tuple[str, np.ndarray]:
    kind, _, data = uri.partition(";base64,")
    return kind, np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_a_small_image_is_shown_exactly() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 1), np.uint8)
    kind, shown = decoded(pictures.data_uri(image))
    assert kind == "data:image/png"
    np.testing.assert_array_equal(shown, image[..., 0])


def test_a_large_photograph_is_made_smaller() -> None:
    image = np.full((600, 300, 3), (200, 30, 30), np.uint8)
    kind, shown = decoded(pictures.data_uri(image))
    assert (kind, shown.shape) == ("data:image/jpeg", (256, 128, 3))
    assert np.abs(shown.mean(axis=(0, 1)) - (200, 30, 30)).max() < 3


def test_heat_colors_the_places_where_it_is_and_no_others() -> None:
    image, heat = np.full((4, 4, 1), 100, np.uint8), np.zeros((4, 4))
    heat[0, 0] = 1
    hot = pictures.under_heat(CaptionedImage(image, "", "", heat))
    assert hot is not None
    assert (hot[1:] == 100).all()
    assert abs(int(hot[0, 0, 0]) - int(hot[0, 0, 2])) > 10
    assert pictures.under_heat(CaptionedImage(image, "", "")) is None


def test_a_sheet_has_six_pictures_in_a_row() -> None:
    image = np.zeros((32, 32, 3), np.uint8)

    def sheet_of(count: int) -> tuple[int, int]:
        png = pictures.sheet(
            [CaptionedImage(image, "name.jpg", "is ants · taken for bees")] * count
        )
        with Image.open(io.BytesIO(png)) as opened:
            return opened.size

    one, six, seven = sheet_of(1), sheet_of(6), sheet_of(7)
    assert six[0] == seven[0] > 5 * one[0]
    assert one[1] == six[1] < seven[1]


@pytest.mark.parametrize(
    ("text", "shown"), [("a\nb", "a\ufffdb"), ("caf\udce9", "caf?"), ("蟻", "蟻")]
)
def test_what_cannot_be_printed_is_replaced(text: str, shown: str) -> None:
    assert pictures.printable(text) == shown


def test_the_end_of_a_long_name_is_kept() -> None:
    assert pictures.shortened("train/bees/1234567.jpg", 12) == "…1234567.jpg"


def test_a_line_that_is_wider_than_its_tile_keeps_its_end() -> None:
    font = pictures._font()
    shown = pictures._fitting("WWWWWWWWWWWWWWWWWWWWWWWWWWWW/photograph.jpg", font)
    assert shown.startswith("…W")
    assert shown.endswith("/photograph.jpg")
    assert font.getlength(shown) <= 168
