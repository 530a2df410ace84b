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
from pipeline.data.batches import shuffled, step_chunks, steps_per_epoch, targets_for
from pipeline.data.folds import pooled_images
from pipeline.data.source_config import Sampling
from pipeline.data.splits import Split, Splits
from pipeline.engines.engine import ENGINES, Variant
from pipeline.engines.frozen_graph import CompiledGraph
from pipeline.features.engine_choice import EngineChoice, EngineOptions, EngineSelector
from pipeline.features.extraction import FeatureExtractor, Features
from pipeline.features.feature_batches import feature_batches, feature_tables, read_features
from pipeline.features.shards import Machines
from pipeline.features.splitting import ModelSplit
from pipeline.features.view_stream import UNAUGMENTED, AugmentedViews
from pipeline.tasks.label_encoding import LabelEncoding
from pipeline.training.graph_steps import MAX_STEPS_PER_CALL, GraphBatches
from pipeline.training.training_data import TrainingData

logger = logging.getLogger(__name__)

_VALIDATION_BATCH_SIZE = 256


@dataclass(frozen=True)
class HeadInputs:
    """The features that a head is trained and validated on.

    Attributes:
        train: of all views of the training images.
        validation: of the validation images, exact; None without them.
    """

    train: Features
    validation: Features | None


@dataclass(frozen=True)
class CachedFeatures:
    """Features of the training images from the fastest engine, of the others from an exact one.

    So validation, in each epoch and at the end, is that of the model that is logged.

    Attributes:
        model_split: where the model is split.
        splits: the images.
        encoding: of their labels.
        views: how the training images are augmented.
        options: the engines that may be used.
        limit: bytes that the whole cache may take.
        machines: what computes the features of many images.
    """

    model_split: ModelSplit
    splits: Splits
    encoding: LabelEncoding
    views: AugmentedViews
    options: EngineOptions
    limit: int
    machines: Machines

    def bytes_needed(self) -> int:
        """Return an upper bound of the bytes that `compute` writes to the cache."""
        splits, views = self.splits, self.views
        if self._training.is_cached(splits.train, views):
            return 0
        validated = 0 if splits.validation is None else len(splits.validation)
        return self._training.max_bytes(len(splits.train), views.count) + self._exact.max_bytes(
            validated, 1
        )

    def bytes_available(self) -> int:
        """Return how many bytes may be written to the cache."""
        return int(min(array_cache.free_bytes() * 0.9, self.limit))

    def compute(self) -> HeadInputs:
        """Compute the features of the training and validation images unless they are cached.

        Raises:
            PipelineError: if they do not fit on the disk.
        """
        validation = self.splits.validation
        if validation is None:
            return HeadInputs(self._train_features, None)
        return HeadInputs(
            self._train_features, self._extract(self._exact, validation, UNAUGMENTED, "val")
        )

    def compute_pool(self) -> HeadInputs:
        """Compute the features of the training and validation images together.

        Returns:
            All views of the training images followed by the validation images, and the exact
            features of the same images unaugmented.

        Raises:
            PipelineError: if they do not fit on the disk.
        """
        pool, name = pooled_images(self.splits), "train and val"
        return HeadInputs(
            self._extract(self._training, pool, self.views, name),
            self._extract(self._exact, pool, UNAUGMENTED, name),
        )

    def training_key(self) -> str:
        """Return a key of all that the features of the training images depend on."""
        return self._training.key(self.splits.train, self.views)

    def choice(self) -> EngineChoice:
        """Return the engines that compute the features."""
        return self._selector.choice

    def images_per_second(self) -> float:
        """Return how fast the training features were computed; 0 if they come from the cache."""
        return round(self._train_features.images_per_second, 1)

    def outputs(self, split: Split, name: str) -> np.ndarray:
        """Return the outputs of the model for the images of a split, (n, units)."""
        features = self._extract(self._exact, split, UNAUGMENTED, name)
        return head_outputs(self.model_split.head, features)

    def features(self, split: Split, indices: np.ndarray, name: str) -> np.ndarray:
        """Return the features of some images, float32 (n, units).

        Those of training images are the ones that the head is trained on, of the first view.

        Args:
            split: the images.
            indices: int (n,), which of them.
            name: of the split, as `outputs` takes it.
        """
        if split is self.splits.train:
            return self._train_features.batch(indices, 0)[0]
        return self._extract(self._exact, split, UNAUGMENTED, name).batch(indices, 0)[0]

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
        frozen = dataclasses.replace(self.model_split.frozen, pool=False)
        unpooled = dataclasses.replace(self.model_split, frozen=frozen)
        exact = self._exact.variant

        def compiled() -> CompiledGraph:
            is_changed = frozen.digest != self.model_split.frozen.digest
            new = ENGINES[exact.engine].compiler
            compiler = new(frozen) if is_changed else self._selector.compiler(exact.engine)
            return compiler(exact.precision, np.empty(0), pool=False)

        extractor = dataclasses.replace(
            self._exact, model_split=unpooled, compiled=compiled, known=list
        )
        some = split.subset(indices)
        name = f"{frozen.network.name} feature maps"
        features = extractor.extract(some, UNAUGMENTED, name=name)
        return features.batch(np.arange(len(some)), 0)[0]

    @functools.cached_property
    def _selector(self) -> EngineSelector:
        return EngineSelector(
            self.model_split.frozen,
            self.splits.train,
            options=self.options,
            rows=len(self.splits.train) * self.views.distinct,
        )

    @functools.cached_property
    def _training(self) -> FeatureExtractor:
        return self._extractor(self._selector.choice.training)

    @functools.cached_property
    def _exact(self) -> FeatureExtractor:
        return self._extractor(self._selector.choice.exact)

    def _extractor(self, variant: Variant) -> FeatureExtractor:
        selector = self._selector
        return FeatureExtractor(
            self.model_split,
            self.encoding,
            self.limit,
            variant,
            engine=selector.facts(variant),
            compiled=lambda: selector.compiled(variant),
            known=lambda: selector.compared.known(variant),
            machines=self.machines,
        )

    @functools.cached_property
    def _train_features(self) -> Features:
        return self._extract(self._training, self.splits.train, self.views, "train")

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
                f"Computed features of {images} with {network}, {extractor.variant}, "
                f"{features.images_per_second:.0f} images/s"
            )
        elif extractor is self._training:
            logger.info(f"Using cached features of {images}")
        return features


def head_batches(
    inputs: HeadInputs,
    labels: np.ndarray,
    *,
    encoding: LabelEncoding,
    batch_size: int | Literal["all"],
    seed: int,
    sampling: Sampling,
    class_weights: np.ndarray | None,
) -> TrainingData:
    """Return batches of features, for a head to be trained and validated on.

    Args:
        inputs: the features.
        labels: int (n,), of the training images before augmentation.
        encoding: as in `training_batches`, and so are the other arguments.
    """
    train, validation = inputs.train, inputs.validation

    def training(first_epoch: int, epochs: int) -> Any:
        indices = shuffled(
            labels,
            batch_size=batch_size,
            seed=seed,
            first_epoch=first_epoch,
            epochs=epochs,
            sampling=sampling,
        )
        return feature_batches(train, indices, targets_for(encoding, class_weights))

    return TrainingData(
        training=training,
        validation=None if validation is None else _validation_batches(validation, encoding),
        steps_per_epoch=steps_per_epoch(train, batch_size),
        graph=None
        if not train.fits_in_memory
        else _graph_batches(
            train,
            labels,
            encoding=encoding,
            batch_size=len(train) if batch_size == "all" else batch_size,
            seed=seed,
            sampling=sampling,
            class_weights=class_weights,
        ),
    )


def _validation_batches(features: Features, encoding: LabelEncoding) -> Any:
    """Return the batches of one pass, in a list if they fit in memory: a dataset starts slowly."""
    targets = targets_for(encoding)
    if features.fits_in_memory:
        tables = feature_tables(features)
        starts = range(_VALIDATION_BATCH_SIZE, len(features), _VALIDATION_BATCH_SIZE)
        return [
            targets(*read_features(tables, encoding.width, np.zeros_like(indices), indices))
            for indices in np.split(np.arange(len(features)), starts)
        ]
    in_order = tf.data.Dataset.range(len(features)).batch(_VALIDATION_BATCH_SIZE)
    in_order = in_order.map(lambda indices: (tf.zeros_like(indices), indices))
    return feature_batches(features, in_order, targets)


def _graph_batches(
    train: Features,
    labels: np.ndarray,
    *,
    encoding: LabelEncoding,
    batch_size: int,
    seed: int,
    sampling: Sampling,
    class_weights: np.ndarray | None,
) -> GraphBatches:
    """Return the training batches of `head_batches`, of features that fit in memory."""

    @functools.lru_cache(maxsize=1)  # to trace its functions takes longer than an epoch
    def chunks(first_epoch: int, epochs: int) -> tf.data.Dataset:
        return step_chunks(
            labels,
            batch_size=batch_size,
            steps=MAX_STEPS_PER_CALL,
            seed=seed,
            first_epoch=first_epoch,
            epochs=epochs,
            sampling=sampling,
            tables=(feature_tables(train), weights),
        )

    def read(draws: Any, step: Any, tables: Any) -> tuple[Any, ...]:
        features, weights = tables
        targets = targets_for(encoding, *weights)
        return targets(*read_features(features, encoding.width, draws[:, 0], draws[:, 1]))

    weights = () if class_weights is None else (tf.constant(class_weights),)
    return GraphBatches(
        chunks,
        read,
        batch_size,
        steps_per_epoch(train, batch_size * MAX_STEPS_PER_CALL),
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
