"""LeNet, compared with the course notes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.models import lenet
from pipeline.models.layers import OutputLayer
from pipeline.models.regularization import RegularizationConfig


def built(image_shape: tuple[int, int, int] = (28, 28, 1), **regularization: Any) -> keras.Model:
    return lenet.LeNetConfig(architecture="lenet").build(
        input_shape=image_shape,
        output=OutputLayer(10, "softmax"),
        regularization=RegularizationConfig(**regularization),
        standardize=keras.layers.Rescaling(1 / 255),
    )


@pytest.mark.parametrize(
    ("layer", "parameters", "output"),
    [
        ("pad", 0, (32, 32, 1)),
        ("C1", 156, (28, 28, 6)),
        ("S2", 0, (14, 14, 6)),
        ("C3", 2_416, (10, 10, 16)),
        ("S4", 0, (5, 5, 16)),
        ("C5", 48_120, (120,)),
        ("F6", 10_164, (84,)),
        ("output", 850, (10,)),
    ],
)
def test_each_layer_has_the_parameters_and_the_shape_of_the_course_notes(
    layer: str, parameters: int, output: tuple[int, ...]
) -> None:
    built_layer = built().get_layer(layer)
    assert built_layer.count_params() == parameters
    assert built_layer.output.shape[1:] == output


def test_lenet_has_61706_parameters() -> None:
    assert built().count_params() == 61_706


def test_an_image_of_32_pixels_is_not_padded() -> None:
    assert "pad" not in [layer.name for layer in built((32, 32, 1)).layers]


def test_pixels_are_padded_with_black_and_then_standardized() -> None:
    model = built()
    scaled = keras.Model(model.input, model.layers[2].output)(np.full((1, 28, 28, 1), 255.0))
    assert float(scaled[0, 2, 2, 0]) == pytest.approx(1.0)
    assert float(scaled[0, 1, 1, 0]) == 0


def test_a_larger_image_is_rejected() -> None:
    with pytest.raises(ModelError) as caught:
        built((64, 64, 1))
    assert str(caught.value) == (
        "data.image_size: lenet accepts at most [32, 32]. Received [64, 64]."
    )


def test_batch_normalization_is_between_a_convolution_and_its_activation() -> None:
    kinds = [type(layer).__name__ for layer in built(batch_norm=True).layers]
    start = kinds.index("Conv2D")
    assert kinds[start : start + 3] == ["Conv2D", "BatchNormalization", "Activation"]
