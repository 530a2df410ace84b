"""What is kept of the images where a model is cut, and the model as seen from there."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import tensorflow as tf

from pipeline.data.batches import shuffled, steps_per_epoch, targets_for
from pipeline.features import feature_cache
from pipeline.features.extraction import (
    UNAUGMENTED,
    FeatureExtractor,
    Features,
    Views,
    exact_extractor,
    feature_batches,
)
from pipeline.features.folding import FeatureDtype
from pipeline.features.precision_guard import FrozenNetwork, choose_precision
from pipeline.features.splitting import ModelSplit
from pipeline.training.phases import TrainingData

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    import keras

    from pipeline.config import OutputActivation
    from pipeline.data.splits import Split, Splits
    from pipeline.training.devices import Devices
    from pipeline.training.optimizers import OptimizerConfig
    from pipeline.training.training_config import TrainingConfig

SAMPLE = 16  # images that the compiled prefix is compared on with the stock one
_GIB = 2**30


@dataclass(frozen=True)
class TransferContext:
    """What the phases of a transfer model are made from.

    Attributes:
        splits: the images.
        pixels: their batches as pixels, for what cannot be kept.
        output: what the model ends in.
        batch_size: images in a training batch.
        augmentation: the entries of the recipe, which determine `layers`.
        layers: Keras preprocessing layers.
        seed: of the order of the images and of their views.
        training: the section of the recipe.
        optimizer: the section of the recipe.
        devices: what is trained on.
        precision: what the frozen part computes in if its features stay the same.
        cache_gb: what kept features may take on the disk, in GiB.
    """

    splits: Splits
    pixels: TrainingData
    output: OutputActivation
    batch_size: int | Literal["all"]
    augmentation: Sequence[Any]
    layers: Sequence[Any]
    seed: int
    training: TrainingConfig
    optimizer: OptimizerConfig
    devices: Devices
    precision: FeatureDtype
    cache_gb: float


@dataclass(frozen=True)
class HeadInputs:
    """What the rest of a model is trained on and judged by.

    Attributes:
        train: of the training images, in all views.
        validation: of the validation images, from the stock model in float32.
    """

    train: Features
    validation: Features


class CachedFeatures:
    """The training images as the compiled prefix gives them, the others as the stock one does.

    Validation, by epoch and at the end, is thereby that of the model that is logged: its frozen
    part is a constant of the images, in float32 and not compiled. The validation images go through
    the compiled prefix as well, to see what it would have changed.
    """

    def __init__(self, cut: ModelSplit, setting: TransferContext) -> None:
        self._cut = cut
        self._setting = setting
        self._base = cut.prefix.name
        train = setting.splits.train

        def chosen() -> FrozenNetwork:
            spread = np.unique(np.linspace(0, len(train) - 1, SAMPLE).astype(int))
            sample = np.asarray(cut.prepare(train.images.read(spread), training=False), np.float32)
            return choose_precision(cut.stock, sample, pool=cut.pool, wanted=setting.precision)

        classes, limit = len(setting.splits.class_names), int(setting.cache_gb * _GIB)
        self._compiled = FeatureExtractor(
            cut,
            chosen,
            wanted=setting.precision,
            sample=train.digest,
            classes=classes,
            limit=limit,
        )
        self._exact = exact_extractor(cut, classes=classes, limit=limit)

    def bytes_needed(self) -> int:
        """Return the most that has to be written to the disk."""
        splits, views = self._setting.splits, self._views
        if self._compiled.has(splits.train, views):
            return 0
        return (
            self._compiled.bytes_for(len(splits.train), views.count)
            + self._compiled.bytes_for(len(splits.validation), 1)
            + self._exact.bytes_for(len(splits.validation), 1)
        )

    def bytes_allowed(self) -> int:
        """Return the most that may be written to the disk."""
        return int(min(feature_cache.free_bytes() * 0.9, self._setting.cache_gb * _GIB))

    def compute(self) -> None:
        """Send the images through the prefix, or find what was kept.

        Raises:
            PipelineError: if the activations do not fit on the disk.
        """
        splits = self._setting.splits
        self._train = self._features(self._compiled, splits.train, self._views, "train")
        self._quick = self._features(self._compiled, splits.validation, UNAUGMENTED, "val")
        self._validation = self._features(self._exact, splits.validation, UNAUGMENTED, "val")

    def batches(self) -> TrainingData:
        """Return the batches of activations of the training and of the validation images."""
        setting = self._setting
        return head_batches(
            self.activations(),
            output=setting.output,
            batch_size=setting.batch_size,
            seed=setting.seed,
        )

    def activations(self) -> HeadInputs:
        """Return what was computed."""
        return HeadInputs(self._train, self._validation)

    def report(self) -> dict[str, Any]:
        """Return the precision of the training features, their error, and images per second."""
        return {
            "precision": self._train.precision,
            "relative_error": self._train.relative_error,
            "images_per_second": round(self._train.images_per_second, 1),
        }

    def outputs(self, split: Split, name: str) -> np.ndarray:
        """Return what the whole stock model gives for the images of a split, (n, units).

        Args:
            split: the images.
            name: what the split is called.
        """
        return head_outputs(self._cut.rest, self._features(self._exact, split, UNAUGMENTED, name))

    def disagreements(self, chosen: np.ndarray) -> int:
        """Return how many validation images the compiled prefix would give another label.

        Args:
            chosen: int (n,), the labels that the whole stock model gives.
        """
        outputs = head_outputs(self._cut.rest, self._quick)
        labels = outputs.argmax(axis=1) if outputs.shape[1] > 1 else outputs[:, 0] > 0.5
        return int(np.sum(labels != chosen))

    @property
    def _views(self) -> Views:
        setting = self._setting
        settings = json.loads(json.dumps([e.model_dump(mode="json") for e in setting.augmentation]))
        training = setting.training
        epochs = training.epochs + (training.fine_tune.epochs if training.fine_tune else 0)
        count = min(training.views, epochs) if setting.layers else 1
        return Views(count, setting.layers, settings, setting.seed)

    def _features(
        self, extractor: FeatureExtractor, split: Split, views: Views, name: str
    ) -> Features:
        features = extractor.features(split, views, name=f"{self._base} {name}")
        what = f"{len(split):,} {name} images in {views.count} view{'s' * (views.count > 1)}"
        if features.images_per_second:
            distinct = len(features.activations[0])
            if distinct < len(split) * views.count:
                what += f", {distinct:,} of them distinct,"
            precision = {"stock": "float32, not compiled"}.get(
                features.precision, features.precision
            )
            logger.info(
                f"Sent {what} through {self._base} in {precision}, "
                f"{features.images_per_second:.0f} images a second"
            )
        elif extractor is self._compiled:
            logger.info(f"Features of {what} were kept from an earlier run")
        return features


def head_batches(
    activations: HeadInputs,
    *,
    output: OutputActivation,
    batch_size: int | Literal["all"],
    seed: int,
) -> TrainingData:
    """Return the batches of activations of the training and of the validation images."""
    train, validation, finish = activations.train, activations.validation, targets_for(output)

    def training(first_epoch: int, epochs: int) -> Any:
        indices = shuffled(
            len(train), batch_size=batch_size, seed=seed, first_epoch=first_epoch, epochs=epochs
        )
        return feature_batches(train, indices, finish)

    first_view = tf.constant(0, tf.int64)
    in_order = tf.data.Dataset.range(len(validation)).batch(256)
    in_order = in_order.map(lambda numbers: (first_view, numbers))
    validating = feature_batches(validation, in_order, finish)
    if validation.is_held:  # to start reading anew takes longer than a head takes to validate
        validating = validating.cache()
    return TrainingData(
        training=training,
        validation=validating,
        steps_per_epoch=steps_per_epoch(train, batch_size),
    )


def head_outputs(rest: keras.Model, features: Features) -> np.ndarray:
    """Return what the rest of a model makes of the images' first views, (n, units)."""
    parts = []
    for start in range(0, len(features), 1024):
        numbers = np.arange(start, min(start + 1024, len(features)))
        activations = features.of(numbers, 0)
        single = activations[0] if len(activations) == 1 else activations
        parts.append(np.asarray(rest(single, training=False)))
    return np.concatenate(parts)
