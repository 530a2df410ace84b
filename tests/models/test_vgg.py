"""VGG, compared with its publication."""

from __future__ import annotations

from collections.abc import Callable

import keras
import pytest

from pipeline.errors import ModelError

Build = Callable[..., keras.Model]


def test_vgg16_has_the_published_138357544_parameters(build: Build) -> None:
    assert build("vgg", (224, 224, 3), classes=1000).count_params() == 138_357_544


@pytest.mark.parametrize(
    ("depth", "parameters"),
    [(11, 9_220_480), (13, 9_404_992), (16, 14_714_688), (19, 20_024_384)],
)
def test_the_convolutions_have_the_published_parameters(
    build: Build, depth: int, parameters: int
) -> None:
    output = 512 * 10 + 10
    model = build("vgg", (32, 32, 3), depth=depth, hidden=())
    assert model.count_params() == parameters + output


def test_small_images_get_a_small_head(build: Build) -> None:
    model = build("vgg", (64, 64, 3), width=0.05)
    assert [layer.units for layer in model.layers if hasattr(layer, "units")] == [512, 512, 10]


def test_an_image_that_is_too_small_is_rejected(build: Build) -> None:
    with pytest.raises(ModelError) as caught:
        build("vgg", (28, 28, 1))
    assert str(caught.value) == "data.image_size: vgg accepts at least [32, 32]. Received [28, 28]."


@pytest.mark.slow
def test_it_learns_digits(accuracy_on_digits: Callable[..., float]) -> None:
    assert accuracy_on_digits("vgg", 32, 3, 1e-3, depth=11, width=0.125, hidden=(64,)) > 0.8
