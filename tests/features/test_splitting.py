"""A model cut in two gives what it gave whole, wherever the cut is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pipeline.features import splitting
from pipeline.models import transfer
from pipeline.models.regularization import RegularizationConfig

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.float32)


def built(base: Any) -> keras.Model:
    return transfer.TransferConfig(
        architecture="transfer", base=base, weights=None, hidden=(8,)
    ).build(
        image_shape=(64, 64, 3),
        classes=3,
        output="softmax",
        regularization=RegularizationConfig(dropout=0.5),
    )


def through(cut: splitting.ModelSplit, images: np.ndarray) -> np.ndarray:
    activations = cut.prefix(cut.prepare(images), training=False)
    if cut.pool:
        activations = keras.ops.mean(activations, axis=(1, 2))
    return np.asarray(cut.rest(activations, training=False))


@pytest.mark.parametrize("base", ["ResNet50V2", "EfficientNetB0", "ConvNeXtTiny"])
def test_before_the_head(base: str) -> None:
    model = built(base)
    np.testing.assert_allclose(
        through(splitting.split_before_head(model), IMAGES), np.asarray(model(IMAGES)), atol=1e-6
    )


@pytest.mark.parametrize(
    ("base", "start"),
    [
        ("ResNet50", "conv5_block1_1_conv"),  # its input also feeds the shortcut
        ("ResNet50", "conv5_block2"),
        ("MobileNetV2", "block_15_depthwise"),  # in the middle of a residual block: two tensors
        ("DenseNet121", "conv5_block16_concat"),
        ("EfficientNetB0", "block7a_se_reshape"),
        ("VGG16", 3),
    ],
)
def test_inside_the_base(base: str, start: str | int) -> None:
    model = built(base)
    cut = splitting.split_before_layer(model, transfer.layer_index(model, start))
    np.testing.assert_allclose(through(cut, IMAGES), np.asarray(model(IMAGES)), atol=1e-5)


def test_inside_a_base_from_a_file_of_any_size(weights: Path) -> None:
    model = built(weights / "resnet18_imagenet.keras")
    cut = splitting.split_before_layer(model, transfer.layer_index(model, 10))
    np.testing.assert_allclose(through(cut, IMAGES), np.asarray(model(IMAGES)), atol=1e-5)
    assert all(None not in tensor.shape[1:] for tensor in cut.prefix.outputs)


def test_the_parts_share_the_model_s_weights() -> None:
    model = built("MobileNetV2")
    cut = splitting.split_before_head(model)
    cut.rest.set_weights([weight + 1 for weight in cut.rest.get_weights()])
    np.testing.assert_array_equal(cut.rest.get_weights()[-1], model.get_weights()[-1])


def test_what_learns_is_in_the_rest_alone() -> None:
    model = built("ResNet50")
    first = transfer.layer_index(model, "conv5_block3")
    transfer.unfreeze(model, first)
    cut = splitting.split_before_layer(model, first)
    assert cut.prefix.trainable_variables == []
    in_rest = {id(variable) for variable in cut.rest.trainable_variables}
    assert in_rest == {id(variable) for variable in model.trainable_variables}
