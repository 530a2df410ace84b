"""Train the model of a recipe, with the weights of its best epoch in the end, or of the last."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np

from pipeline.data.augmentation import build_augmentation
from pipeline.data.image_source import ImageSourceConfig
from pipeline.data.splits import Splits
from pipeline.features.cached_features import HeadInputs
from pipeline.recipe.grammar import Recipe
from pipeline.stages.batch_size_choice import choose_batch_size
from pipeline.stages.epoch_evaluation import epoch_evaluation
from pipeline.stages.feature_trainer import FeatureTrainer
from pipeline.stages.head_trainer import CompiledHeads, HeadTrainer
from pipeline.stages.initial_weights import initial_run, pin_initial_weights
from pipeline.stages.perceptron_trainer import PerceptronTrainer
from pipeline.stages.trainer import PixelTrainer, Trainer
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.devices import Devices, find_devices
from pipeline.training.output_snapshots import OutputSnapshots
from pipeline.training.phases import History, fit_phases
from pipeline.training.time_budget import TimeBudget

logger = logging.getLogger(__name__)

# Called with the number of an epoch, from 1, its metrics and its seconds.
OnEpoch = Callable[[int, dict[str, float], float], None]


@dataclass(frozen=True)
class TrainedModel:
    """A model, with its history and what it was trained on.

    It has the weights of its best epoch, or of the last one without validation images.

    Attributes:
        trainer: has the model.
        history: the metrics of its epochs.
        devices: that it was trained on.
        initial_run: the id of the run whose weights it started from; None without.
        batch_size: the number of examples in a training step; `all` is all of them.
        snapshots: what it computed after several epochs; None if that was not asked for.
    """

    trainer: Trainer
    history: History
    devices: Devices
    batch_size: int | Literal["all"]
    initial_run: str | None = None
    snapshots: OutputSnapshots | None = None

    @property
    def model(self) -> keras.Model:
        return self.trainer.model


def train_model(
    recipe: Recipe,
    splits: Splits,
    *,
    on_epoch: OnEpoch,
    epoch_metrics: Collection[str] = (),
    checkpoints: Checkpoints | None = None,
    show_progress: bool = True,
    head_inputs: HeadInputs | None = None,
    heads: CompiledHeads | None = None,
    snapshot_inputs: np.ndarray | None = None,
) -> TrainedModel:
    """Build and train the model of a recipe.

    Args:
        recipe: what to build and how to train it.
        splits: the images.
        on_epoch: is told of each epoch.
        epoch_metrics: the metrics of the validation images that are needed in each epoch beside
            the monitored one.
        checkpoints: where to resume from and to save to.
        show_progress: whether to show each epoch on standard error.
        head_inputs: what `compute_head_inputs` returned, to build and train the head alone.
        heads: for `head_inputs`, those of earlier trainings, whose models are not used any more.
        snapshot_inputs: numbers, float32 (n, d), for which the outputs after several epochs are
            kept; None for none.

    Raises:
        ModelError: if the model cannot be built.
        TrainingError: if it cannot be trained.
    """
    seconds = recipe.training.budget_seconds
    budget = TimeBudget(seconds) if seconds else None
    recipe = pin_initial_weights(recipe, checkpoints)
    devices = find_devices(recipe.runtime)
    logger.info(devices.description)
    recipe = choose_batch_size(recipe, splits, devices, checkpoints)
    trainer = _make_trainer(
        recipe, splits, devices, checkpoints, head_inputs, heads or CompiledHeads()
    )
    model = trainer.model
    logger.info(
        f"Built {model.name}: {model.count_params():,} parameters, input {splits.input_shape}"
    )
    is_validated, classes = splits.validation is not None, len(splits.class_names)
    if not is_validated:
        logger.info(f"Training without validation {splits.unit}: the last epoch is kept")
    snapshots = None
    if snapshot_inputs is not None:
        directory = checkpoints.directory if checkpoints else None
        snapshots = OutputSnapshots(model, snapshot_inputs, directory)
    with devices.scope():
        history = fit_phases(
            trainer.phases(),
            training=recipe.training,
            monitor=recipe.monitor if is_validated else None,
            loss_metric=recipe.loss_metric,
            label_smoothing=recipe.regularization.label_smoothing,
            output_scale=recipe.output_layer(splits).scale,
            metrics=lambda: [
                *recipe.task.running_metrics(
                    classes, recipe.output_layer(splits), top_k=recipe.training.top_k
                ),
                *trainer.running_metrics(),
            ],
            devices=devices,
            on_epoch=on_epoch,
            evaluate=epoch_evaluation(
                recipe.task,
                splits,
                {recipe.monitor, f"val_{recipe.task.CURVE}", *epoch_metrics},
            ),
            checkpoints=checkpoints,
            shown_metric=recipe.task.CURVE if show_progress else None,
            budget=budget,
            observe=snapshots.take if snapshots else lambda epoch: None,
        )
    size = recipe.data.batch_size
    return TrainedModel(trainer, history, devices, size, initial_run(recipe), snapshots)


def trains_head_alone(recipe: Recipe) -> bool:
    """Return whether a recipe trains nothing but a head on a frozen base."""
    return recipe.model.has_frozen_base and not recipe.training.fine_tune


def augmentation_layers(recipe: Recipe, splits: Splits) -> list[Any]:
    """Return the Keras layers of the augmentation of a recipe."""
    if not isinstance(recipe.data, ImageSourceConfig):
        return []
    height, width, _ = splits.input_shape
    return build_augmentation(recipe.data.augmentation, image_size=(height, width))


def compute_head_inputs(recipe: Recipe, splits: Splits) -> HeadInputs:
    """Return what any head on the base of a transfer recipe is trained and validated on.

    Raises:
        ModelError: if the model cannot be built.
        PipelineError: if the features do not fit on the disk.
    """
    devices, layers = find_devices(recipe.runtime), augmentation_layers(recipe, splits)
    with devices.scope():
        return FeatureTrainer(recipe, splits, layers, devices).head_inputs()


def compute_pool_inputs(recipe: Recipe, splits: Splits) -> HeadInputs | None:
    """Return the inputs of any head for all training and validation images, to select folds from.

    None if views of images mix several images.

    Raises:
        ModelError: if the model cannot be built.
        PipelineError: if the features do not fit on the disk.
    """
    devices, layers = find_devices(recipe.runtime), augmentation_layers(recipe, splits)
    with devices.scope():
        return FeatureTrainer(recipe, splits, layers, devices).pool_inputs()


def _make_trainer(
    recipe: Recipe,
    splits: Splits,
    devices: Devices,
    checkpoints: Checkpoints | None,
    head_inputs: HeadInputs | None,
    heads: CompiledHeads,
) -> Trainer:
    layers = augmentation_layers(recipe, splits)  # outside the scope: it stays in float32
    with devices.scope():
        if head_inputs:
            return HeadTrainer(recipe, splits, head_inputs, heads)
        if recipe.model.has_frozen_base:
            return FeatureTrainer(recipe, splits, layers, devices, checkpoints)
        if not recipe.model.learns_by_gradient:
            return PerceptronTrainer(recipe, splits, layers)
        return PixelTrainer(recipe, splits, layers)
