"""Cached features of the images at a model split, and the head's batches and outputs."""

from __future__ import annotations

import dataclasses
import functools
import logging
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from pipeline import array_cache
from pipeline.config import OutputActivation
from pipeline.data.batches import shuffled, steps_per_epoch, targets_for
from pipeline.data.source_config import Sampling
from pipeline.data.splits import Split, Splits
from pipeline.features.extraction import (
    UNAUGMENTED,
    AugmentedViews,
    FeatureExtractor,
    Features,
    feature_batches,
)
from pipeline.features.folding import FeatureDtype
from pipeline.features.precision_guard import FrozenNetwork, choose_precision
from pipeline.features.splitting import ModelSplit
from pipeline.training.phases import TrainingData

logger = logging.getLogger(__name__)


_UNPOOLED = -2  # tells feature maps from their averages, whose index is -1, in cache keys
_SAMPLE = 16  # training images on which the folded network is compared with the original


@dataclass(frozen=True)
class HeadInputs:
    """The features that a head is trained and validated on.

    Attributes:
        train: of all views of the training images.
        validation: of the validation images, computed by the original network in float32; None
            without them.
    """

    train: Features
    validation: Features | None


@dataclass(frozen=True)
class CachedFeatures:
    """Features of the training images from the folded network, of the others from the original.

    So validation, in each epoch and at the end, is that of the model that is logged. The validation
    images go through the folded network too, to count the predictions that it would change.

    Attributes:
        model_split: where the model is split.
        splits: the images.
        views: how the training images are augmented.
        precision: the one to try first for the folded network.
        limit: bytes that the whole cache may take.
    """

    model_split: ModelSplit
    splits: Splits
    views: AugmentedViews
    precision: FeatureDtype
    limit: int

    def bytes_needed(self) -> int:
        """Return an upper bound of the bytes that `compute` writes to the cache."""
        splits, views = self.splits, self.views
        if self._folded.is_cached(splits.train, views):
            return 0
        validated = 0 if splits.validation is None else len(splits.validation)
        return (
            self._folded.max_bytes(len(splits.train), views.count)
            + self._folded.max_bytes(validated, 1)
            + self._original.max_bytes(validated, 1)
        )

    def bytes_available(self) -> int:
        """Return how many bytes may be written to the cache."""
        return int(min(array_cache.free_bytes() * 0.9, self.limit))

    def compute(self) -> HeadInputs:
        """Compute the features of the training and validation images unless they are cached.

        Raises:
            PipelineError: if they do not fit on the disk.
        """
        train, _ = self._folded_features
        return HeadInputs(train, self._validation_features(self._original))

    def facts(self) -> dict[str, Any]:
        """Return the precision of the training features, their error, and images per second."""
        train, _ = self._folded_features
        return {
            "precision": train.precision,
            "relative_error": train.relative_error,
            "images_per_second": round(train.images_per_second, 1),
        }

    def outputs(self, split: Split, name: str) -> np.ndarray:
        """Return the outputs of the original model for the images of a split, (n, units)."""
        features = self._extract(self._original, split, UNAUGMENTED, name)
        return head_outputs(self.model_split.head, features)

    def disagreements(self, labels: np.ndarray) -> int:
        """Return how many predictions for the validation images the folded network would change.

        Args:
            labels: int (n,), the predictions of the original model.
        """
        _, validation = self._folded_features
        assert validation is not None
        outputs = head_outputs(self.model_split.head, validation)
        folded = outputs.argmax(axis=1) if outputs.shape[1] > 1 else outputs[:, 0] > 0.5
        return int(np.sum(folded != labels))

    def feature_maps(self, split: Split, indices: np.ndarray) -> np.ndarray:
        """Return the last feature maps of the base for some images, computed or from the cache.

        The model has to be split before its head, and its base to end in a feature map.

        Args:
            split: the images.
            indices: int (n,), which of them.

        Returns:
            float32 (n, rows, columns, channels).
        """
        # A copy also has a digest of its own, of the weights that fine-tuning may have changed.
        unpooled = dataclasses.replace(self.model_split, pool=False, index=_UNPOOLED)
        some = split.subset(indices)
        name = f"{unpooled.frozen.network.name} feature maps"
        extractor = dataclasses.replace(self._original, model_split=unpooled)
        features = extractor.extract(some, UNAUGMENTED, name=name)
        return features.batch(np.arange(len(some)), 0)[0]

    @functools.cached_property
    def _folded(self) -> FeatureExtractor:
        return dataclasses.replace(
            self._original,
            choose_network=self._choose_network,
            wanted=self.precision,
            sample=self.splits.train.digest,
        )

    @functools.cached_property
    def _original(self) -> FeatureExtractor:
        return FeatureExtractor(self.model_split, len(self.splits.class_names), self.limit)

    @functools.cached_property
    def _folded_features(self) -> tuple[Features, Features | None]:
        """Features of the training and validation images by the folded network."""
        train = self._extract(self._folded, self.splits.train, self.views, "train")
        return train, self._validation_features(self._folded)

    def _validation_features(self, extractor: FeatureExtractor) -> Features | None:
        split = self.splits.validation
        return None if split is None else self._extract(extractor, split, UNAUGMENTED, "val")

    def _choose_network(self) -> FrozenNetwork:
        model_split, train = self.model_split, self.splits.train
        indices = np.unique(np.linspace(0, len(train) - 1, _SAMPLE).astype(int))
        images = model_split.prepare(train.images.read(indices), training=False)
        return choose_precision(
            model_split.frozen,
            np.asarray(images, np.float32),
            pool=model_split.pool,
            wanted=self.precision,
        )

    def _extract(
        self, extractor: FeatureExtractor, split: Split, views: AugmentedViews, name: str
    ) -> Features:
        network = self.model_split.frozen.network.name
        features = extractor.extract(split, views, name=f"{network} {name}")
        images = f"{len(split):,} {name} images"
        if views.count > 1:
            images += f" in {views.count} views ({len(features.activations[0]):,} distinct)"
        if features.images_per_second:
            logger.info(
                f"Computed features of {images} with {network} in "
                f"{'float32' if features.precision == 'original' else features.precision}, "
                f"{features.images_per_second:.0f} images/s"
            )
        elif extractor is self._folded:
            logger.info(f"Using cached features of {images}")
        return features


def head_batches(
    inputs: HeadInputs,
    labels: np.ndarray,
    *,
    output: OutputActivation,
    batch_size: int | Literal["all"],
    seed: int,
    sampling: Sampling,
    class_weights: np.ndarray | None,
) -> TrainingData:
    """Return batches of features, for a head to be trained and validated on.

    Args:
        inputs: the features.
        labels: int (n,), of the training images before augmentation.
        output: as in `training_batches`, and so are the other arguments.
    """
    train, validation = inputs.train, inputs.validation
    classes = train.labels.classes

    def training(first_epoch: int, epochs: int) -> Any:
        indices = shuffled(
            labels,
            batch_size=batch_size,
            seed=seed,
            first_epoch=first_epoch,
            epochs=epochs,
            sampling=sampling,
        )
        return feature_batches(train, indices, targets_for(output, classes, class_weights))

    validating = None
    if validation is not None:
        in_order = tf.data.Dataset.range(len(validation)).batch(256)
        in_order = in_order.map(lambda indices: (tf.zeros_like(indices), indices))
        validating = feature_batches(validation, in_order, targets_for(output, classes))
        if validation.fits_in_memory:  # starting to read again takes longer than the head itself
            validating = validating.cache()
    return TrainingData(
        training=training,
        validation=validating,
        steps_per_epoch=steps_per_epoch(train, batch_size),
    )


def head_outputs(head: keras.Model, features: Features) -> np.ndarray:
    """Return the outputs of a head for the first view of each image, (n, units)."""
    outputs = []
    for start in range(0, len(features), 1024):
        indices = np.arange(start, min(start + 1024, len(features)))
        activations = features.batch(indices, 0)
        single = activations[0] if len(activations) == 1 else activations
        outputs.append(np.asarray(head(single, training=False)))
    return np.concatenate(outputs)
