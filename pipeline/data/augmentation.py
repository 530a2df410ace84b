"""Augmentation of training images with Keras preprocessing layers.

To add a layer, add a section with the name and the arguments of the Keras layer, and one line in
`AUGMENTATIONS`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from pipeline.config import (
    ClosedFraction,
    Config,
    Expected,
    Factor,
    NonNegativeFloat,
    PositiveFloat,
    PositiveFraction,
    PositiveInt,
    single_key_union,
    unwrap_single_key,
)

_SEEDS_PER_BATCH = 1024  # more random numbers than any layer draws

FillMode = Literal["reflect", "wrap", "constant", "nearest"]
Zoom = Annotated[Factor, Field(gt=-1), Expected("a number above -1 up to 1")]
FactorOrRange = Annotated[
    Factor | tuple[Factor, Factor], Expected("a number from -1 to 1, or [low, high] of two such")
]
FractionOrRange = Annotated[
    ClosedFraction | tuple[ClosedFraction, ClosedFraction],
    Expected("a number from 0 to 1, or [low, high] of two such"),
]
FractionRange = Annotated[
    tuple[ClosedFraction, ClosedFraction], Expected("[low, high], two numbers from 0 to 1")
]
ZoomOrRange = Annotated[
    Zoom | tuple[Zoom, Zoom], Expected("a number above -1 up to 1, or [low, high] of two such")
]


class RandomFlip(Config):
    """Flip half of the images."""

    mode: Literal["horizontal", "vertical", "horizontal_and_vertical"] = "horizontal"


class RandomRotation(Config):
    """Rotate by up to `factor` of a full turn in either direction."""

    factor: FactorOrRange = 0.05
    fill_mode: FillMode = "reflect"


class RandomTranslation(Config):
    """Shift by up to these fractions of the height and the width."""

    height_factor: FactorOrRange = 0.1
    width_factor: FactorOrRange = 0.1
    fill_mode: FillMode = "reflect"


class RandomZoom(Config):
    """Zoom out (above 0) or in (below 0) by up to these fractions."""

    height_factor: ZoomOrRange = 0.1
    width_factor: ZoomOrRange | None = None
    fill_mode: FillMode = "reflect"


class RandomCrop(Config):
    """Crop a window of `height` × `width` pixels and resize it to the size of the image.

    Each image gets a window of its own.
    """

    height: PositiveInt
    width: PositiveInt


class RandomContrast(Config):
    """Change the contrast by up to `factor`."""

    factor: FractionOrRange = 0.2


class RandomBrightness(Config):
    """Change the brightness by up to `factor` of the full range."""

    factor: FactorOrRange = 0.1


class RandAugment(Config):
    """Apply `num_ops` random operations of strength `factor` to each image (Cubuk et al., 2019)."""

    num_ops: PositiveInt = 2
    factor: ClosedFraction = 0.5


class MixUp(Config):
    """Blend pairs of images and their labels (Zhang et al., 2017)."""

    alpha: PositiveFloat = 0.2


class CutMix(Config):
    """Paste a window of one image, and its part of the label, into another (Yun et al., 2019).

    The size of the window follows a beta distribution, whose parameter is drawn between 0 and
    `factor` for each batch.
    """

    factor: PositiveFraction = 1.0


class RandomErasing(Config):
    """Erase a rectangle that covers between `scale[0]` and `scale[1]` of the image.

    The probability of erasing is drawn between 0 and `factor` for each image.
    """

    factor: ClosedFraction = 1.0
    scale: FractionRange = (0.02, 0.33)
    fill_value: NonNegativeFloat | None = None


AUGMENTATIONS: dict[str, type[Config]] = {
    "random_flip": RandomFlip,
    "random_rotation": RandomRotation,
    "random_translation": RandomTranslation,
    "random_zoom": RandomZoom,
    "random_crop": RandomCrop,
    "random_contrast": RandomContrast,
    "random_brightness": RandomBrightness,
    "rand_augment": RandAugment,
    "mix_up": MixUp,
    "cut_mix": CutMix,
    "random_erasing": RandomErasing,
}

MIXING = ("mix_up", "cut_mix")  # several images of a batch, and their labels

Augmentation = tuple[Annotated[Config, single_key_union(AUGMENTATIONS)], ...]


def build_augmentation(entries: Sequence[Config], *, image_size: tuple[int, int]) -> list[Any]:
    """Return the Keras layers of the entries, in order.

    Args:
        entries: entries of `data.augmentation`.
        image_size: height and width of the images, before and after.
    """
    import keras

    layers: list[Any] = []
    for entry in entries:
        _, operation = unwrap_single_key(entry)
        layer = getattr(keras.layers, type(operation).__name__)
        # Pixels stay float32 under a mixed precision policy.
        layers.append(layer(**operation.model_dump(), dtype="float32"))
        if isinstance(operation, RandomCrop):
            layers.append(keras.layers.Resizing(*image_size, dtype="float32"))
    return layers


def augmenter(layers: Sequence[Any], *, seed: int) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """Return a function (images, labels, step) → (images, labels) that applies the layers.

    The result only depends on the images, `seed` and `step`, so that an epoch can be repeated. The
    function is not thread-safe: it sets the seeds of the layers.

    Args:
        layers: Keras preprocessing layers for images in 0..255.
        seed: the seed.

    Returns:
        A function of float or uint8 images (n, height, width, channels), one-hot labels
        (n, classes) and the number of the training step; it returns float32 images and labels.
    """
    import keras
    import tensorflow as tf

    # Keras draws one window, or one choice of operations, for a whole batch.
    one_at_a_time = (keras.layers.RandomCrop, keras.layers.RandAugment)

    def augment(images: Any, labels: Any, step: Any) -> tuple[Any, Any]:
        images, labels = tf.cast(images, tf.float32), tf.convert_to_tensor(labels)
        for index, layer in enumerate(layers):
            for variable in layer.variables:  # the states of its seed generators
                # A state is a counter, so the states of consecutive steps must not overlap.
                state = tf.stack([seed + 7919 * index, step * _SEEDS_PER_BATCH])
                variable.assign(tf.cast(state, variable.dtype))
            if isinstance(layer, one_at_a_time):
                images = tf.map_fn(
                    functools.partial(layer, training=True), images, parallel_iterations=1
                )
            else:
                batch = layer({"images": images, "labels": labels}, training=True)
                images, labels = batch["images"], batch["labels"]
        return tf.clip_by_value(images, 0.0, 255.0), labels

    return augment
