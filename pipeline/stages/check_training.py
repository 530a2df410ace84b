"""Short trainings of a recipe on a sample of its images."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
import psutil
import tensorflow as tf

from pipeline.data.augmentation import augmenter
from pipeline.data.batches import steps_per_epoch
from pipeline.data.splits import Splits
from pipeline.evaluation.captioned_images import CaptionedImage
from pipeline.even_spacing import evenly_spaced
from pipeline.features.splitting import split_before_head
from pipeline.models import transfer
from pipeline.recipe.grammar import Recipe
from pipeline.stages.train_model import augmentation_layers
from pipeline.stages.trainer import PixelTrainer
from pipeline.training.devices import find_devices
from pipeline.training.diagnosis import Diagnosis, Overfit, RateRange, Sample
from pipeline.training.losses import loss_function
from pipeline.training.optimizers import build_optimizer

_SAMPLE = 512
_OVERFIT_IMAGES, _OVERFIT_STEPS = 50, 300
_LOWER = (1.0, 0.3, 0.1)  # of the suggested rate
_STEPS_BEFORE_GRADIENTS = 5
_EXAMPLES = 8


@dataclass(frozen=True)
class RunCost:
    """What a run needs, as far as a few steps can tell.

    Attributes:
        parameters: of the model.
        step_seconds: the time of a training step.
        epoch_seconds: of the steps of an epoch.
        training_seconds: of the steps of all epochs; early stopping can end it before.
        image_seconds: to compute the features of an image; None without a frozen base.
        memory_mib: of the process that checked, with the model and the images of the sample.
    """

    parameters: int
    step_seconds: float
    epoch_seconds: float
    training_seconds: float
    image_seconds: float | None
    memory_mib: float


@dataclass(frozen=True)
class TrainingCheck:
    """What short trainings of a recipe showed.

    Attributes:
        examples: training images as the model takes them, with their labels.
        initial_loss: of a sample of training images, before any training.
        chance_loss: what outputs that are all equally probable would have.
        overfit: a training on a few images, without regularization.
        working_rate: with which it succeeds, if it fails with that of the recipe; None if it
            succeeds, or fails with the suggested rate and lower ones too.
        gradients: the norm of the gradient by layer, first layer first, after a few steps.
        rates: the learning rate range test.
        cost: of a run.
    """

    examples: Sequence[CaptionedImage]
    initial_loss: float
    chance_loss: float
    overfit: Overfit
    working_rate: float | None
    gradients: dict[str, float]
    rates: RateRange
    cost: RunCost


def check_training(recipe: Recipe, splits: Splits) -> TrainingCheck:
    """Train the model of a recipe for a few steps in several ways.

    With a frozen base, the head alone is trained, on features without augmentation.

    Raises:
        ModelError: if the model cannot be built.
        TrainingError: if the machine has no device that the recipe asks for.
    """
    devices = find_devices(recipe.runtime)
    layers = augmentation_layers(recipe, splits)
    plain = recipe.regularization.model_copy(
        update={"dropout": 0.0, "l1": 0.0, "l2": 0.0, "label_smoothing": 0.0}
    )
    with devices.scope():
        whole = PixelTrainer(recipe.model_copy(update={"regularization": plain}), splits, layers)
        model, image_seconds = whole.model, None
        train = splits.train
        chosen = np.array(evenly_spaced(len(train), at_most=_SAMPLE))
        images = inputs = train.images.read(chosen).astype(np.float32)
        if recipe.model.has_frozen_base:
            base = keras.Model(model.input, model.get_layer(transfer.FEATURES).output)
            base.predict_on_batch(inputs[:1])  # traces
            started = time.perf_counter()
            inputs = base.predict(inputs, batch_size=32, verbose=0)
            image_seconds = (time.perf_counter() - started) / len(inputs)
            model = split_before_head(model).head
        sample = Sample(inputs, _targets(recipe, splits, images, train.labels[chosen]))
        steps = steps_per_epoch(train, recipe.data.batch_size)
        output = recipe.output_layer(splits)
        diagnosis = Diagnosis(
            model,
            loss_function(recipe.training.loss, label_smoothing=0.0, scale=output.scale),
            lambda: build_optimizer(
                recipe.optimizer.model_copy(update={"schedule": None}),
                steps_per_epoch=steps,
                epochs=recipe.training.epochs,
            ),
            partial(recipe.task.chance_outputs, output=output),
        )
        few = sample.at(np.array(evenly_spaced(len(sample), at_most=_OVERFIT_IMAGES)))
        size = recipe.data.batch_size
        batch_size = len(sample) if size == "all" else min(size, len(sample))
        rates = diagnosis.rate_range(sample, batch_size=batch_size, seed=recipe.seed)
        overfit = diagnosis.overfit(few, steps=_OVERFIT_STEPS)
        working_rate = None
        if not overfit.is_learnt and rates.suggestion is not None:
            lower = (rates.suggestion * factor for factor in _LOWER)
            attempts = (
                (rate, diagnosis.overfit(few, steps=_OVERFIT_STEPS, rate=rate)) for rate in lower
            )
            working_rate = next((rate for rate, attempt in attempts if attempt.is_learnt), None)
        return TrainingCheck(
            examples=_examples(recipe, splits, layers),
            initial_loss=diagnosis.initial_loss(sample),
            chance_loss=diagnosis.chance_loss(sample),
            overfit=overfit,
            working_rate=working_rate,
            gradients=diagnosis.gradient_norms(few, steps=_STEPS_BEFORE_GRADIENTS),
            rates=rates,
            cost=RunCost(
                parameters=whole.model.count_params(),
                step_seconds=rates.step_seconds,
                epoch_seconds=rates.step_seconds * steps,
                training_seconds=rates.step_seconds * steps * recipe.training.epochs,
                image_seconds=image_seconds,
                memory_mib=psutil.Process().memory_info().rss / 2**20,
            ),
        )


def _targets(recipe: Recipe, splits: Splits, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    encoding = recipe.label_encoding(splits)
    return np.asarray(encoding.targets(images, encoding.dense(tf.constant(labels))), np.float32)


def _examples(recipe: Recipe, splits: Splits, layers: Sequence[object]) -> list[CaptionedImage]:
    """Return some training images as the model takes them; none of other examples."""
    if not splits.are_images:
        return []
    train = splits.train
    encoding = recipe.label_encoding(splits)
    indices = np.array(evenly_spaced(len(train), at_most=_EXAMPLES))
    images = train.images.read(indices)
    if layers:
        augment = augmenter(layers, seed=recipe.seed)
        augmented, _ = augment(
            images.astype(np.float32),
            encoding.dense(tf.constant(train.labels[indices])),
            np.int64(0),
        )
        images = np.asarray(augmented).clip(0, 255).round().astype(np.uint8)
    return [
        CaptionedImage(
            image,
            train.names[index],
            recipe.task.describe_label(train.labels[index], splits.class_names),
        )
        for image, index in zip(images, indices, strict=True)
    ]
