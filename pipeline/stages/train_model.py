"""From images to a model with the weights of its best epoch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras

from pipeline.data import augmentation
from pipeline.data.batches import evaluation_batches, steps_per_epoch, training_batches
from pipeline.features.cached_features import TransferContext, head_batches
from pipeline.features.feature_trainer import FeatureTrainer
from pipeline.features.precision_guard import processor_has_bfloat16
from pipeline.models import transfer
from pipeline.training import devices
from pipeline.training.phases import Phase, TrainingData, fit_phases

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from pipeline.data.splits import Splits
    from pipeline.features.cached_features import HeadInputs
    from pipeline.features.folding import FeatureDtype
    from pipeline.recipe.grammar import Recipe
    from pipeline.training.checkpoints import Checkpoints
    from pipeline.training.devices import Devices
    from pipeline.training.phases import History

EVALUATION_BATCH = 64


@dataclass(frozen=True)
class TrainedModel:
    """A model with the weights of its best epoch, and how it came to them."""

    model: keras.Model
    history: History
    devices: Devices
    fitting: FeatureTrainer | None


def train_model(
    recipe: Recipe,
    splits: Splits,
    *,
    on_epoch: Callable[[int, dict[str, float], float], None],
    checkpoints: Checkpoints | None = None,
    show_progress: bool = True,
) -> TrainedModel:
    """Build and train the model of a recipe.

    Args:
        recipe: what to build, and how to train it.
        splits: the images.
        on_epoch: is called with each epoch's number, from 1, its metrics and its seconds.
        checkpoints: where to go on from, and what to keep.
        show_progress: whether to show each epoch on standard error.

    Raises:
        ModelError: if the model cannot be built.
        TrainingError: if it cannot be trained.
    """
    found = devices.find_devices(recipe.runtime)
    logger.info(found.description)
    shape = splits.image_shape
    layers = augmentation.build_augmentation(recipe.data.augmentation, image_size=shape[:2])
    batches = _pixel_batches(recipe, splits, layers)
    fitting = None
    with found.scope():
        model = _model(recipe, splits)
        logger.info(f"Built {model.name} with {model.count_params():,} weights for {shape} pixels")
        phases: Iterable[Phase] = [Phase(model, batches, recipe.training.epochs, recipe.optimizer)]
        if isinstance(recipe.model, transfer.TransferConfig):
            fitting = _transfer_fitting(recipe, splits, model, batches, layers, found)
            phases = fitting.phases()
        history = fit_phases(
            phases,
            training=recipe.training,
            label_smoothing=recipe.regularization.label_smoothing,
            devices=found,
            on_epoch=on_epoch,
            checkpoints=checkpoints,
            show_progress=show_progress,
        )
    return TrainedModel(model, history, found, fitting)


def train_head(
    recipe: Recipe,
    splits: Splits,
    activations: HeadInputs,
    *,
    on_epoch: Callable[[int, dict[str, float], float], None],
) -> tuple[keras.Model, History]:
    """Train the head of a transfer recipe alone, as `learn` does, on features that are there.

    Args:
        recipe: a transfer recipe without fine-tuning.
        splits: the images.
        activations: what `activations_of_heads` returned for such a recipe.
        on_epoch: is called with each epoch's number, from 1, its metrics and its seconds.

    Returns:
        The head, with the weights that the whole model's head would have; and what happened.

    Raises:
        TrainingError: if it cannot be trained.
    """
    found = devices.find_devices(recipe.runtime)
    with found.scope():
        keras.utils.set_random_seed(recipe.seed)
        head = recipe.model.build_head(  # type: ignore[attr-defined]
            features=activations.train.activations[0].shape[-1],
            classes=len(splits.class_names),
            output=recipe.output,
            regularization=recipe.regularization,
        )
        fitted_to = head_batches(
            activations,
            output=recipe.output,
            batch_size=recipe.data.batch_size,
            seed=recipe.seed,
        )
        history = fit_phases(
            [Phase(head, fitted_to, recipe.training.epochs, recipe.optimizer)],
            training=recipe.training,
            label_smoothing=recipe.regularization.label_smoothing,
            devices=found,
            on_epoch=on_epoch,
            show_progress=False,
        )
    return head, history


def compute_head_inputs(recipe: Recipe, splits: Splits) -> HeadInputs:
    """Return what every head on the base of a transfer recipe is trained on and judged by.

    Raises:
        ModelError: if the model cannot be built.
    """
    found = devices.find_devices(recipe.runtime)
    layers = augmentation.build_augmentation(
        recipe.data.augmentation, image_size=splits.image_shape[:2]
    )
    batches = _pixel_batches(recipe, splits, layers)
    with found.scope():
        model = _model(recipe, splits)
        fitting = _transfer_fitting(recipe, splits, model, batches, layers, found)
        return fitting.of_the_head()


def _model(recipe: Recipe, splits: Splits) -> keras.Model:
    # Here, so that the augmentation does not change what a model starts from.
    keras.utils.set_random_seed(recipe.seed)
    return recipe.model.build(
        image_shape=splits.image_shape,
        classes=len(splits.class_names),
        output=recipe.output,
        regularization=recipe.regularization,
    )


def _transfer_fitting(
    recipe: Recipe,
    splits: Splits,
    model: keras.Model,
    batches: TrainingData,
    layers: list[Any],
    devices: Devices,
) -> FeatureTrainer:
    setting = TransferContext(
        splits=splits,
        pixels=batches,
        output=recipe.output,
        batch_size=recipe.data.batch_size,
        augmentation=recipe.data.augmentation,
        layers=layers,
        seed=recipe.seed,
        training=recipe.training,
        optimizer=recipe.optimizer,
        devices=devices,
        precision=_features_precision(recipe, devices),
        cache_gb=recipe.runtime.cache_gb,
    )
    return FeatureTrainer(model, setting)


def _features_precision(recipe: Recipe, devices: Devices) -> FeatureDtype:
    """Return what the frozen part of a model should compute in."""
    if recipe.runtime.precision != "auto":
        return "bfloat16" if recipe.runtime.precision == "mixed_bfloat16" else "float32"
    if devices.on_gpu:
        return "bfloat16" if devices.precision == "mixed_bfloat16" else "float32"
    return "bfloat16" if processor_has_bfloat16() else "float32"


def _pixel_batches(recipe: Recipe, splits: Splits, layers: list[Any]) -> TrainingData:
    classes = len(splits.class_names)

    def training(first_epoch: int, epochs: int) -> Any:
        return training_batches(
            splits.train,
            classes=classes,
            output=recipe.output,
            batch_size=recipe.data.batch_size,
            augmentation=layers,
            seed=recipe.seed,
            first_epoch=first_epoch,
            epochs=epochs,
        )

    return TrainingData(
        training=training,
        validation=evaluation_batches(
            splits.validation,
            classes=classes,
            output=recipe.output,
            batch_size=EVALUATION_BATCH,
        ),
        steps_per_epoch=steps_per_epoch(splits.train, recipe.data.batch_size),
    )
