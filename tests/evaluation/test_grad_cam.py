"""Grad-CAM, on networks whose decisive regions are known."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from pipeline.evaluation import grad_cam
from pipeline.models.architecture_config import ArchitectureConfig
from pipeline.models.layers import OutputLayer
from pipeline.models.lenet import LeNetConfig
from pipeline.models.mlp import MLPConfig
from pipeline.models.regularization import RegularizationConfig

SIZE = (16, 16)


@pytest.fixture(scope="module", params=["softmax", "sigmoid"])
def model(request: pytest.FixtureRequest) -> keras.Model:
    """Two classes: the first is red, the second is blue, wherever that is."""
    pixels = keras.Input((*SIZE, 3))
    x = keras.layers.Conv2D(2, 4, strides=4, name="colors")(pixels)
    x = keras.layers.GlobalAveragePooling2D()(x)
    units = 2 if request.param == "softmax" else 1
    made = keras.Model(pixels, keras.layers.Dense(units, request.param)(x))
    kernel = np.zeros((4, 4, 3, 2), np.float32)
    kernel[..., 0, 0] = kernel[..., 2, 1] = 1 / 16
    head = np.eye(2) if units == 2 else np.array([[-1.0], [1.0]])
    made.set_weights([kernel, np.zeros(2), head, np.zeros(units)])
    return made


def heatmaps(model: keras.Model, images: np.ndarray, classes: list[int]) -> np.ndarray:
    split = grad_cam.split_for_grad_cam(model)
    assert split is not None
    maps = np.asarray(split.features(images))
    size = images.shape[1:3]
    return grad_cam.compute_heatmaps(split, maps, np.array(classes), image_size=(size[0], size[1]))


def test_the_heatmap_is_hot_where_the_class_is(model: keras.Model) -> None:
    image = np.zeros((1, *SIZE, 3), np.float32)
    image[:, :4, :4, 0] = 255  # red, above on the left
    image[:, -4:, -4:, 2] = 255  # blue, below on the right
    red, blue = heatmaps(model, np.repeat(image, 2, axis=0), [0, 1])
    assert red.shape == SIZE
    assert red[1, 1] > 0.9
    assert red[-2, -2] < 0.05
    assert blue[-2, -2] > 0.9
    assert blue[1, 1] < 0.05


def test_the_heatmap_is_zero_without_evidence(model: keras.Model) -> None:
    black = np.zeros((1, *SIZE, 3), np.float32)
    assert not heatmaps(model, black, [0]).any()


def test_a_saturated_prediction_has_a_heatmap_too(model: keras.Model) -> None:
    image = np.zeros((1, *SIZE, 3), np.float32)
    image[:, :4, :4, 0] = 1e5  # the softmax is 1 to the last bit, its gradient 0
    assert heatmaps(model, image, [0]).max() > 0.9


def built(architecture: ArchitectureConfig, shape: tuple[int, int, int]) -> keras.Model:
    return architecture.build(
        input_shape=shape,
        output=OutputLayer(10, "softmax"),
        regularization=RegularizationConfig(),
        standardize=keras.layers.Rescaling(1 / 255),
    )


def test_the_padding_of_lenet_is_cut_off() -> None:
    model = built(LeNetConfig(architecture="lenet"), (8, 8, 1))
    split = grad_cam.split_for_grad_cam(model)
    assert split is not None
    assert split.padding == ((12, 12), (12, 12))
    assert tuple(split.features.output.shape[1:]) == (5, 5, 16)
    # The image lies in the middle of the map; what is in its corner lies beyond.
    middle, corner = np.zeros((2, 10, 5, 5, 16), np.float32)
    middle[:, 2, 2] = corner[:, 0, 0] = 1
    of_middle, of_corner = (
        grad_cam.compute_heatmaps(split, maps, np.arange(10), image_size=(8, 8)).max(axis=(1, 2))
        for maps in (middle, corner)
    )
    assert of_middle.max() > 0.9
    assert of_corner.max() < 0.05


def test_a_model_without_convolutions_has_no_heatmap() -> None:
    assert grad_cam.split_for_grad_cam(built(MLPConfig(architecture="mlp"), (8, 8, 1))) is None
