"""The two parts of a split model compute what the whole model computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pipeline.features.splitting import ModelSplit, split_before_head, split_before_layer
from pipeline.models import transfer
from pipeline.models.layers import OutputLayer
from pipeline.models.regularization import RegularizationConfig

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)


def built(base: Any) -> keras.Model:
    return transfer.TransferConfig(
        architecture="transfer", base=base, weights=None, hidden=(8,)
    ).build(
        input_shape=(32, 32, 3),
        output=OutputLayer(3, "softmax"),
        regularization=RegularizationConfig(dropout=0.5),
        standardize=keras.layers.Rescaling(1 / 255),
    )


def assert_computes(model_split: ModelSplit, probabilities: np.ndarray) -> None:
    activations = model_split.frozen.network(model_split.frozen.prepare(IMAGES), training=False)
    if model_split.frozen.pool:
        activations = keras.ops.mean(activations, axis=(1, 2))
    outputs = model_split.head(activations, training=False)
    np.testing.assert_allclose(outputs, probabilities, atol=1e-5)


@pytest.mark.parametrize("base", ["ResNet50V2", "ConvNeXtTiny"])
def test_before_the_head(base: str) -> None:
    model = built(base)
    assert_computes(split_before_head(model), np.asarray(model(IMAGES)))


@pytest.mark.parametrize(
    ("base", "start"),
    [
        ("ResNet50", "conv5_block1_1_conv"),  # its input is also that of the residual connection
        ("ResNet50", "conv5_block2"),
        ("MobileNetV2", "block_15_depthwise"),  # in the middle of a residual block: two tensors
        ("DenseNet121", "conv5_block16_concat"),
        ("EfficientNetB0", "block7a_se_reshape"),
        ("VGG16", 3),
    ],
)
def test_before_the_head_and_inside_the_base(base: str, start: str | int) -> None:
    model = built(base)
    probabilities = np.asarray(model(IMAGES))
    assert_computes(split_before_head(model), probabilities)
    first = transfer.layer_index(model, start)
    assert_computes(split_before_layer(model, first), probabilities)


def test_inside_a_base_from_a_file_for_images_of_any_size(weights: Path) -> None:
    model = built(weights / "resnet18_imagenet.keras")
    model_split = split_before_layer(model, transfer.layer_index(model, 10))
    assert_computes(model_split, np.asarray(model(IMAGES)))
    assert all(None not in tensor.shape[1:] for tensor in model_split.frozen.network.outputs)


def test_the_head_shares_the_weights_of_the_model() -> None:
    model = built("VGG16")
    head = split_before_head(model).head
    head.set_weights([weight + 1 for weight in head.get_weights()])
    np.testing.assert_array_equal(head.get_weights()[-1], model.get_weights()[-1])


def test_only_the_head_has_trainable_weights() -> None:
    model = built("MobileNetV2")
    first = transfer.layer_index(model, "block_15")
    transfer.unfreeze(model, first, batch_norm=False)
    model_split = split_before_layer(model, first)
    assert model_split.frozen.network.trainable_variables == []
    in_head = {id(variable) for variable in model_split.head.trainable_variables}
    assert in_head == {id(variable) for variable in model.trainable_variables}
