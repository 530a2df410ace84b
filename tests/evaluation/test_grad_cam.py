"""Grad-CAM, on networks whose attention is known."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from pipeline.evaluation import grad_cam
from pipeline.models.architecture_config import ArchitectureConfig
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


def heat(model: keras.Model, images: np.ndarray, classes: list[int]) -> np.ndarray:
    parts = grad_cam.parts_of(model)
    assert parts is not None
    maps = np.asarray(parts.features(images))
    size = images.shape[1:3]
    return grad_cam.heat_maps(parts, maps, np.array(classes), image_size=(size[0], size[1]))


def test_the_heat_is_where_the_class_is(model: keras.Model) -> None:
    image = np.zeros((1, *SIZE, 3), np.float32)
    image[:, :4, :4, 0] = 255  # red, above on the left
    image[:, -4:, -4:, 2] = 255  # blue, below on the right
    red, blue = heat(model, np.repeat(image, 2, axis=0), [0, 1])
    assert red.shape == SIZE
    assert red[1, 1] > 0.9
    assert red[-2, -2] < 0.05
    assert blue[-2, -2] > 0.9
    assert blue[1, 1] < 0.05


def test_where_nothing_speaks_for_a_class_it_is_cold(model: keras.Model) -> None:
    black = np.zeros((1, *SIZE, 3), np.float32)
    assert not heat(model, black, [0]).any()


def test_a_certain_answer_is_explained_too(model: keras.Model) -> None:
    image = np.zeros((1, *SIZE, 3), np.float32)
    image[:, :4, :4, 0] = 1e5  # the softmax is 1 to the last bit, its gradient 0
    assert heat(model, image, [0]).max() > 0.9


def built(architecture: ArchitectureConfig, shape: tuple[int, int, int]) -> keras.Model:
    return architecture.build(
        image_shape=shape, classes=10, output="softmax", regularization=RegularizationConfig()
    )


def test_the_border_that_lenet_adds_is_not_part_of_the_map() -> None:
    model = built(LeNetConfig(architecture="lenet"), (8, 8, 1))
    parts = grad_cam.parts_of(model)
    assert parts is not None
    assert parts.border == ((12, 12), (12, 12))
    assert tuple(parts.features.output.shape[1:]) == (5, 5, 16)
    # The image lies in the middle of the map; what is in its corner lies beyond.
    middle, corner = np.zeros((2, 10, 5, 5, 16), np.float32)
    middle[:, 2, 2] = corner[:, 0, 0] = 1
    of_middle, of_corner = (
        grad_cam.heat_maps(parts, maps, np.arange(10), image_size=(8, 8)).max(axis=(1, 2))
        for maps in (middle, corner)
    )
    assert of_middle.max() > 0.9
    assert of_corner.max() < 0.05


def test_there_is_no_map_without_convolutions() -> None:
    assert grad_cam.parts_of(built(MLPConfig(architecture="mlp"), (8, 8, 1))) is None
