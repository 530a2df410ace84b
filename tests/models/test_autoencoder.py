"""The convolutional autoencoder."""

from __future__ import annotations

import pytest

from pipeline.models.autoencoder import AutoencoderConfig
from pipeline.models.layers import LATENT, OutputLayer
from pipeline.models.regularization import RegularizationConfig


@pytest.mark.parametrize("shape", [(28, 28, 1), (13, 7, 3), (1, 5, 1)])
def test_an_image_of_any_size_comes_back_in_its_size(shape: tuple[int, int, int]) -> None:
    config = AutoencoderConfig(architecture="autoencoder", filters=(4, 6, 8), latent=5)
    model = config.build(
        input_shape=shape,
        output=OutputLayer(1, "sigmoid", shape=shape),
        regularization=RegularizationConfig(),
        standardize=lambda pixels: pixels / 255,
    )
    assert model.output_shape == (None, *shape)
    assert model.get_layer(LATENT).output.shape == (None, 5)
