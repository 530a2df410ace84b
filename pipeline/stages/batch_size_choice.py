"""Choose the largest batch that fits in the memory of GPUs: `runtime.batch_size: auto`."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from pipeline.data.splits import Splits
from pipeline.errors import TrainingError
from pipeline.models import transfer
from pipeline.recipe.grammar import Recipe
from pipeline.stages.trainer import PixelTrainer
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.devices import Devices
from pipeline.training.losses import loss_function
from pipeline.training.optimizers import build_optimizer

logger = logging.getLogger(__name__)

_START = 32  # the first size that is tried
_MIN_STEPS = 10  # in an epoch; larger batches would leave too few updates
_TRAINED = 2  # steps; the variables of the optimizer are in memory from the first one on


def choose_batch_size(
    recipe: Recipe,
    splits: Splits,
    devices: Devices,
    checkpoints: Checkpoints | None,
    make_probe: Callable[[Recipe, Splits, Devices], Callable[[int], None]] | None = None,
) -> Recipe:
    """Return the recipe with the batch size that it is trained with.

    The learning rate stays as it is.

    Args:
        recipe: the recipe.
        splits: the images.
        devices: that it is trained on.
        checkpoints: of the training, which has the same batch size when it is resumed.
        make_probe: returns the function that `largest_batch_size` takes; by default `train_probe`.

    Raises:
        TrainingError: if not even one image fits in memory.
    """
    if not recipe.runtime.batch_size:
        return recipe
    if not devices.on_gpu:
        logger.info(
            "runtime.batch_size: auto chooses by the memory of GPUs, and training is on the CPU. "
            f"Using data.batch_size, {recipe.data.batch_size}."
        )
        return recipe
    if recipe.model.has_frozen_base and not recipe.training.fine_tune:
        logger.info(
            "runtime.batch_size: auto chooses by memory, of which the head of a frozen base needs "
            f"little. Using data.batch_size, {recipe.data.batch_size}."
        )
        return recipe

    def choose() -> str:
        probe = (make_probe or train_probe)(recipe, splits, devices)
        limit = max(_START, len(splits.train) // _MIN_STEPS)
        return str(largest_batch_size(probe, start=_START, limit=limit))

    size = int(checkpoints.choose_once("batch_size", choose) if checkpoints else choose())
    logger.info(
        f"runtime.batch_size: auto chose {size}, the largest power of two that fits in the memory "
        f"of {', '.join(devices.names)} and leaves at least {_MIN_STEPS} steps in an epoch. "
        f"optimizer.learning_rate stays {recipe.optimizer.learning_rate:g}; a larger batch "
        "often allows a higher one."
    )
    data = recipe.data.model_copy(update={"batch_size": size})
    return recipe.model_copy(update={"data": data})


def largest_batch_size(probe: Callable[[int], None], *, start: int, limit: int) -> int:
    """Return the largest power of two that fits in memory.

    Args:
        probe: trains with a batch of this size, and raises tf.errors.ResourceExhaustedError if
            there is not enough memory.
        start: the first size to try, a power of two.
        limit: the largest size to try.

    Raises:
        TrainingError: if not even one image fits.
    """

    def fits(size: int) -> bool:
        try:
            probe(size)
        except tf.errors.ResourceExhaustedError:
            return False
        return True

    size = start
    if fits(size):
        while 2 * size <= limit and fits(2 * size):
            size *= 2
        return size
    while size > 1:
        size //= 2
        if fits(size):
            return size
    raise TrainingError(
        "runtime.batch_size: not even one image fits in memory in training. Reduce "
        "data.image_size, or choose a smaller model."
    )


def train_probe(recipe: Recipe, splits: Splits, devices: Devices) -> Callable[[int], None]:
    """Return a function that trains a model of the recipe with a batch of some size.

    The model is one of its own. Of several devices, it takes the share of one.
    """
    with devices.scope():
        model = PixelTrainer(recipe, splits, ()).model
        fine_tune = recipe.training.fine_tune
        if fine_tune:
            first = transfer.layer_index(model, fine_tune.start)
            transfer.unfreeze(model, first, batch_norm=fine_tune.train_batch_norm)
        output = recipe.output_layer(splits)
        model.compile(
            optimizer=build_optimizer(recipe.optimizer, steps_per_epoch=1, epochs=1),
            loss=loss_function(recipe.training.loss, label_smoothing=0.0, scale=output.scale),
            jit_compile="auto" if devices.on_gpu else False,
        )
    train, encoding = splits.train, recipe.label_encoding(splits)

    def probe(size: int) -> None:
        indices = np.arange(math.ceil(size / len(devices.names))) % len(train)
        images = train.images.read(indices).astype(np.float32)
        dense = encoding.dense(tf.constant(train.labels[indices]))
        for _ in range(_TRAINED):
            model.train_on_batch(images, np.asarray(encoding.targets(images, dense)))

    return probe
