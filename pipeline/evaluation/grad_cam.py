"""Where a convolutional classifier looked: Grad-CAM (Selvaraju et al., 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image


@dataclass(frozen=True)
class Parts:
    """A classifier in two parts, with its last feature map between them.

    Attributes:
        features: raw pixels → the feature map (n, rows, columns, channels).
        head: the feature map → what the output layer takes.
        output: the output layer.
        border: rows and columns of zeros around the image, ((top, bottom), (left, right)).
    """

    features: keras.Model
    head: keras.Model
    output: keras.layers.Dense
    border: tuple[tuple[int, int], tuple[int, int]]


def parts_of(model: keras.Model) -> Parts | None:
    """Return a model in two parts, None where it has no feature map of more than one place."""
    border = ((0, 0), (0, 0))
    is_past_a_convolution, taker = False, None
    for layer in model.layers:
        if is_past_a_convolution and _is_map(layer.input):
            taker = layer
        if isinstance(layer, keras.layers.ZeroPadding2D) and not is_past_a_convolution:
            border = layer.padding
        is_past_a_convolution |= isinstance(layer, keras.layers.Conv2D | keras.Model)
    output = model.layers[-1]
    if taker is None or not isinstance(output, keras.layers.Dense):
        return None
    return Parts(
        features=keras.Model(model.input, taker.input),
        head=keras.Model(taker.input, output.input),
        output=output,
        border=border,
    )


def heat_maps(
    parts: Parts, maps: np.ndarray, classes: np.ndarray, *, image_size: tuple[int, int]
) -> np.ndarray:
    """Return how much each place of each image speaks for a class, relative to the most that does.

    Args:
        parts: the model.
        maps: what `parts.features` makes of the images.
        classes: int (n,), the class of each image that is asked about.
        image_size: height and width of the images.

    Returns:
        float32 (n, height, width), 0..1; all 0 where nothing speaks for the class.
    """
    activations = tf.constant(maps, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(activations)
        hidden = tf.cast(parts.head(activations, training=False), tf.float32)
        # Of the scores before the softmax, whose own gradient vanishes where it is certain.
        scores = tf.matmul(hidden, parts.output.kernel) + parts.output.bias
        if scores.shape[1] == 1:
            scores = tf.concat([-scores, scores], axis=1)
        score = tf.gather(scores, classes, axis=1, batch_dims=1)
    weights = tf.reduce_mean(tape.gradient(score, activations), axis=(1, 2), keepdims=True)
    heat = tf.nn.relu(tf.reduce_sum(weights * activations, axis=-1)).numpy()
    heat /= np.maximum(heat.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
    return np.stack([_enlarged(one, image_size, parts.border) for one in heat])


def _enlarged(heat: np.ndarray, size: tuple[int, int], border: Any) -> np.ndarray:
    (top, bottom), (left, right) = border
    whole = (left + size[1] + right, top + size[0] + bottom)
    enlarged = np.asarray(Image.fromarray(heat).resize(whole, Image.Resampling.BICUBIC))
    return enlarged[top : top + size[0], left : left + size[1]].clip(0, 1)


def _is_map(tensor: Any) -> bool:
    shape: Any = getattr(tensor, "shape", ())
    return len(shape) == 4 and None not in shape[1:] and shape[1] * shape[2] > 1
