"""The residual network for small images, compared with its publication."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.models.regularization import RegularizationConfig
from pipeline.models.resnet import ResNetConfig

Build = Callable[..., keras.Model]


@pytest.mark.parametrize(
    ("depth", "parameters"),  # in table 6: 0.27, 0.46 and 0.85 million
    [(20, 269_722), (32, 464_154), (56, 853_018)],
)
def test_it_has_the_published_number_of_trainable_parameters(
    build: Build, depth: int, parameters: int
) -> None:
    weights = build("resnet", (32, 32, 3), depth=depth).trainable_weights
    assert sum(int(np.prod(weight.shape)) for weight in weights) == parameters


@pytest.mark.parametrize("depth", [2, 18, 20.0])
def test_the_depth_is_6n_plus_2(depth: float) -> None:
    with pytest.raises(ValidationError) as caught:
        ResNetConfig(architecture="resnet", depth=depth)
    (error,) = caught.value.errors()
    assert error["ctx"]["wording"] == "6n + 2 layers: 8, 14, 20, 26, 32, …"


def test_a_shortcut_takes_every_second_pixel_and_adds_channels_of_zeros(build: Build) -> None:
    model = build("resnet", (5, 5, 1), depth=8)  # with kernels of zeros, blocks are shortcuts
    adds = [layer.output for layer in model.layers if isinstance(layer, keras.layers.Add)]
    before = [layer.input for layer in model.layers if layer.name.startswith("max_pooling2d")]
    maps = np.random.default_rng(0).random((2, 5, 5, 16), np.float32)
    after = np.asarray(keras.Model(before[0], adds[1])(maps))
    np.testing.assert_array_equal(after[..., :16], maps[:, ::2, ::2])
    assert after.shape == (2, 3, 3, 32)
    assert not after[..., 16:].any()


def test_kernels_have_the_variance_of_he(build: Build) -> None:
    model = build("resnet", (8, 8, 3), depth=8, regularization=RegularizationConfig())
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    kernel = np.asarray(convolutions[-1].kernel)
    assert kernel.std() == pytest.approx(np.sqrt(2 / (3 * 3 * 64)), rel=0.05)


@pytest.mark.slow
def test_it_learns_digits(accuracy_on_digits: Callable[..., float]) -> None:
    assert accuracy_on_digits("resnet", 8, 3, 3e-3, depth=8) > 0.85
