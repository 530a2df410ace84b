"""GoogLeNet, compared with its publication."""

from __future__ import annotations

from collections.abc import Callable

import keras
import pytest

Build = Callable[..., keras.Model]


@pytest.fixture(scope="module")
def published(build: Build) -> keras.Model:
    return build("inception", (224, 224, 3), classes=1000, width=1.0)


def test_the_published_network_has_6998552_parameters(published: keras.Model) -> None:
    assert published.count_params() == 6_998_552


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        ("3a", (28, 28, 256)),
        ("3b", (28, 28, 480)),
        ("4a", (14, 14, 512)),
        ("4b", (14, 14, 512)),
        ("4c", (14, 14, 512)),
        ("4d", (14, 14, 528)),
        ("4e", (14, 14, 832)),
        ("5a", (7, 7, 832)),
        ("5b", (7, 7, 1024)),
    ],
)
def test_each_module_has_the_shape_of_table_1(
    published: keras.Model, module: str, shape: tuple[int, ...]
) -> None:
    assert published.get_layer(module).output.shape[1:] == shape


@pytest.mark.parametrize(("side", "rows"), [(32, 4), (48, 6), (64, 4), (96, 6), (97, 4)])
def test_a_small_image_is_halved_less_often(build: Build, side: int, rows: int) -> None:
    last = build("inception", (side, side, 3), width=0.01).get_layer("5b")
    assert last.output.shape[1:3] == (rows, rows)


@pytest.mark.slow
def test_it_learns_digits(accuracy_on_digits: Callable[..., float]) -> None:
    assert accuracy_on_digits("inception", 16, 4, 1e-3, width=0.125) > 0.7
