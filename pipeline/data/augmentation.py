"""Random changes of training images: Keras's own preprocessing layers.

A new one is a section with the name and the arguments of its Keras layer, and one line in
`AUGMENTATIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from pipeline.config import (
    Config,
    Factor,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Share,
    expecting,
    single_key_union,
    unwrap_single_key,
)

_NUMBERS_A_DRAW = 1024  # more than any layer takes

FillMode = Literal["reflect", "wrap", "constant", "nearest"]
Zoom = Annotated[Factor, Field(gt=-1), expecting("a number above -1 up to 1")]
FactorOrRange = Annotated[
    Factor | tuple[Factor, Factor], expecting("a number from -1 to 1, or [low, high] of two such")
]
ShareOrRange = Annotated[
    Share | tuple[Share, Share], expecting("a number from 0 to 1, or [low, high] of two such")
]
TwoShares = Annotated[tuple[Share, Share], expecting("[low, high], two numbers from 0 to 1")]
ZoomOrRange = Annotated[
    Zoom | tuple[Zoom, Zoom], expecting("a number above -1 up to 1, or [low, high] of two such")
]


class RandomFlip(Config):
    """Mirror half of the images."""

    mode: Literal["horizontal", "vertical", "horizontal_and_vertical"] = "horizontal"


class RandomRotation(Config):
    """Turn by up to `factor` of a full turn either way."""

    factor: FactorOrRange = 0.05
    fill_mode: FillMode = "reflect"


class RandomTranslation(Config):
    """Shift by up to these shares of the height and of the width."""

    height_factor: FactorOrRange = 0.1
    width_factor: FactorOrRange = 0.1
    fill_mode: FillMode = "reflect"


class RandomZoom(Config):
    """Zoom out (above 0) or in (below 0) by up to these shares; the width follows the height."""

    height_factor: ZoomOrRange = 0.1
    width_factor: ZoomOrRange | None = None
    fill_mode: FillMode = "reflect"


class RandomCrop(Config):
    """Cut out a window of `height` × `width` pixels and scale it back to the image's size."""

    height: PositiveInt
    width: PositiveInt


class RandomContrast(Config):
    """Change the contrast by up to this share."""

    factor: ShareOrRange = 0.2


class RandomBrightness(Config):
    """Change the brightness by up to this share of the full range."""

    factor: FactorOrRange = 0.1


class RandAugment(Config):
    """Apply `num_ops` random operations of strength `factor` (Cubuk et al., 2019)."""

    num_ops: PositiveInt = 2
    factor: Share = 0.5


class MixUp(Config):
    """Blend pairs of images and of their labels (Zhang et al., 2017)."""

    alpha: PositiveFloat = 0.2


class CutMix(Config):
    """Paste a window of one image, and its share of the label, into another (Yun et al., 2019)."""

    factor: Share = 1.0


class RandomErasing(Config):
    """Blank a rectangle that covers between `scale[0]` and `scale[1]` of the image."""

    factor: Share = 1.0
    scale: TwoShares = (0.02, 0.33)
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

Augmentation = tuple[Annotated[Config, single_key_union(AUGMENTATIONS)], ...]


def build_augmentation(entries: Sequence[Config], *, image_size: tuple[int, int]) -> list[Any]:
    """Return the Keras layers of the entries, in order.

    Args:
        entries: entries of `data.augmentation`.
        image_size: height and width in pixels that every image must have afterwards.
    """
    import keras

    layers: list[Any] = []
    for entry in entries:
        _, operation = unwrap_single_key(entry)
        layer = getattr(keras.layers, type(operation).__name__)
        # Pixels stay float32 where the model computes in half the precision.
        layers.append(layer(**operation.model_dump(), dtype="float32"))
        if isinstance(operation, RandomCrop):
            layers.append(keras.layers.Resizing(*image_size, dtype="float32"))
    return layers


def augmenter(layers: Sequence[Any], *, seed: int) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """Return the function (images, labels, draw) → (images, labels) that applies the layers.

    The result depends on the images, on `seed` and on `draw` alone, so that an epoch can be
    repeated. It must not be called in parallel with itself: the draw is written into the layers.

    Args:
        layers: Keras preprocessing layers, for images in 0..255.
        seed: the stream of random numbers.

    Returns:
        A function of float or uint8 images (n, height, width, channels), one-hot labels
        (n, classes) and an integer `draw`; it returns float32 images and labels.
    """
    import tensorflow as tf

    def augment(images: Any, labels: Any, draw: Any) -> tuple[Any, Any]:
        images, labels = tf.cast(images, tf.float32), tf.convert_to_tensor(labels)
        for position, layer in enumerate(layers):
            for variable in layer.variables:  # the states of its random number generators
                # They count up from here, so that draws next to each other must lie apart.
                state = tf.stack([seed + 7919 * position, draw * _NUMBERS_A_DRAW])
                variable.assign(tf.cast(state, variable.dtype))
            batch = layer({"images": images, "labels": labels}, training=True)
            images, labels = batch["images"], batch["labels"]
        return tf.clip_by_value(images, 0.0, 255.0), labels

    return augment
