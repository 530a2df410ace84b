"""Grad-CAM (Selvaraju et al., 2017): which regions of an image support a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image


@dataclass(frozen=True)
class GradCamModel:
    """A classifier, split at its last feature map.

    Attributes:
        features: raw pixels → the feature map (n, rows, columns, channels).
        head: the feature map → the input of the output layer.
        output: the output layer.
        padding: zeros around the image in pixels, ((top, bottom), (left, right)).
    """

    features: keras.Model
    head: keras.Model
    output: keras.layers.Dense
    padding: tuple[tuple[int, int], tuple[int, int]]


def split_for_grad_cam(model: keras.Model) -> GradCamModel | None:
    """Split a model at its last feature map; return None where it has none larger than 1×1."""
    padding = ((0, 0), (0, 0))
    is_past_a_convolution, first_of_head = False, None
    for layer in model.layers:
        if is_past_a_convolution and _is_feature_map(layer.input):
            first_of_head = layer
        if isinstance(layer, keras.layers.ZeroPadding2D) and not is_past_a_convolution:
            padding = layer.padding
        is_past_a_convolution |= isinstance(layer, keras.layers.Conv2D | keras.Model)
    # Numbers are scaled to their unit after the output layer.
    output = next(layer for layer in reversed(model.layers) if not _is_rescaling(layer))
    if first_of_head is None or not isinstance(output, keras.layers.Dense):
        return None
    return GradCamModel(
        features=keras.Model(model.input, first_of_head.input),
        head=keras.Model(first_of_head.input, output.input),
        output=output,
        padding=padding,
    )


def compute_heatmaps(
    model: GradCamModel,
    feature_maps: np.ndarray,
    classes: np.ndarray,
    *,
    image_size: tuple[int, int],
) -> np.ndarray:
    """Return the Grad-CAM heatmap of each image, scaled to a maximum of 1.

    Args:
        model: the split model.
        feature_maps: the outputs of `model.features` for the images.
        classes: int (n,), the class to explain for each image.
        image_size: height and width of the images.

    Returns:
        float32 (n, height, width), 0..1; all 0 where no region supports the class.
    """
    activations = tf.constant(feature_maps, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(activations)
        hidden = tf.cast(model.head(activations, training=False), tf.float32)
        # Logits, because the gradient of the softmax vanishes where it is saturated.
        logits = tf.matmul(hidden, model.output.kernel) + model.output.bias
        if logits.shape[1] == 1:
            logits = tf.concat([-logits, logits], axis=1)
        scores = tf.gather(logits, classes, axis=1, batch_dims=1)
    weights = tf.reduce_mean(tape.gradient(scores, activations), axis=(1, 2), keepdims=True)
    heatmaps = tf.nn.relu(tf.reduce_sum(weights * activations, axis=-1)).numpy()
    heatmaps /= np.maximum(heatmaps.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
    return np.stack([_resized(heatmap, image_size, model.padding) for heatmap in heatmaps])


def _resized(heatmap: np.ndarray, size: tuple[int, int], padding: Any) -> np.ndarray:
    """Resize a heatmap to the padded image, and cut the padding off."""
    (top, bottom), (left, right) = padding
    padded = (left + size[1] + right, top + size[0] + bottom)
    resized = np.asarray(Image.fromarray(heatmap).resize(padded, Image.Resampling.BICUBIC))
    return resized[top : top + size[0], left : left + size[1]].clip(0, 1)


def _is_rescaling(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Rescaling)


def _is_feature_map(tensor: Any) -> bool:
    shape: Any = getattr(tensor, "shape", ())
    return len(shape) == 4 and None not in shape[1:] and shape[1] * shape[2] > 1
