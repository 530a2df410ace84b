"""The interface of trainers, and the trainer of every model that learns from pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from pipeline.data.batches import (
    can_be_kept,
    evaluation_batches,
    in_graph_reader,
    kept_batches,
    step_chunks,
    steps_per_epoch,
    training_batches,
)
from pipeline.data.splits import Split, Splits
from pipeline.engines.engine import EngineName
from pipeline.features.cached_features import HeadInputs
from pipeline.models.standardization import standardization
from pipeline.recipe.grammar import Recipe
from pipeline.stages.class_balance import training_class_weights
from pipeline.stages.graph_outputs import GraphOutputs
from pipeline.stages.initial_weights import load_initial_weights
from pipeline.training.graph_steps import MAX_STEPS_PER_CALL, GraphBatches
from pipeline.training.phases import History, Phase
from pipeline.training.training_data import TrainingData

# Images of a batch that is evaluated: 64 photographs, and more of smaller ones, which are computed
# faster.
_EVALUATED_VALUES = 64 * 224 * 224 * 3
_EVALUATED_IMAGES = (64, 256)  # at least, at most
_EAGER_IMAGES = 512  # of so few, the outputs take less time than to trace the model
_MEASURED_IMAGES = 500  # by whose statistics inputs are standardized


@dataclass(frozen=True)
class PretrainedFeatures:
    """Features of the training images by a network that was not trained on their labels.

    Attributes:
        read: maps indices of images (n,) to features, float32 (n, units).
        key: of all that they depend on.
    """

    read: Callable[[np.ndarray], np.ndarray]
    key: str


class Trainer(Protocol):
    """Trains a model and predicts with it.

    The defaults are those of a model without a frozen base.
    """

    model: keras.Model
    """The model, over pixels."""

    graph: GraphOutputs | None = None
    """Computes the trained model in place of Keras, if it is set."""

    def phases(self) -> Iterator[Phase]:
        """Yield the phases of training, for `fit_phases`."""

    def predict(self, split: Split, name: str) -> np.ndarray:
        """Return the outputs for the images of a split, as `Task.outputs` has them.

        Args:
            split: the images.
            name: of the split, as in the names of metrics.
        """

    def running_metrics(self) -> list[Any]:
        """Return new Keras metrics for each epoch, beside those of the task."""
        return []

    def conclusion(self, history: History) -> tuple[str, bool]:
        """Return what the training showed, in sentences, and whether that is as it should be."""
        return "", True

    def runs_whole_model(self) -> bool:
        """Return whether the trained model computes from pixels on what it is evaluated by."""
        return True

    def evaluation_engine(self) -> EngineName:
        """Return what computes the images that the trained model is evaluated on."""
        return "openvino" if self.graph else "keras"

    def feature_maps(self, split: Split, indices: np.ndarray) -> np.ndarray | None:
        """Return the base's last feature maps, float32 (n, rows, columns, channels)."""
        return None

    def pool_inputs(self) -> HeadInputs | None:
        """Return the features of the training and validation images, as `compute_pool` does.

        None if a model is more than a head on them, or views of images mix several images.

        Raises:
            PipelineError: if they do not fit on the disk.
        """
        return None

    def pretrained_features(self) -> PretrainedFeatures | None:
        """Return features of the training images; None without a pretrained base."""
        return None

    def base_features(self, split: Split, indices: np.ndarray, name: str) -> np.ndarray | None:
        """Return the features of some images that the head of the trained model takes.

        Args:
            split: the images.
            indices: int (n,), which of them.
            name: of the split, as in the names of metrics.

        Returns:
            float32 (n, units); None without a pretrained base.
        """
        return None

    def frozen_digest(self) -> str | None:
        """Return the digest of the frozen base, as `FrozenGraph` has it.

        None if the trained model has none.
        """
        return None

    def feature_facts(self) -> dict[str, Any]:
        """Return the engine and precision of the base's features, and how they were chosen."""
        return {}

    def feature_metrics(self) -> dict[str, float]:
        """Return `features/*` metrics of how the base's features were computed."""
        return {}


class PixelTrainer(Trainer):
    """Trains a whole model on pixels."""

    def __init__(self, recipe: Recipe, splits: Splits, layers: Sequence[Any]) -> None:
        """Build the model.

        Args:
            recipe: what to build and how to train it.
            splits: the images.
            layers: of the augmentation.

        Raises:
            ModelError: if the model cannot be built, or the run whose weights it starts from has
                others.
            UsageError: if there is no such run.
        """
        self._recipe, self._splits, self._layers = recipe, splits, layers
        self._encoding = recipe.label_encoding(splits)
        # Not earlier: the augmentation must not change the initial weights.
        keras.utils.set_random_seed(recipe.seed)
        self.model = recipe.model.build(
            input_shape=splits.input_shape,
            output=recipe.output_layer(splits),
            regularization=recipe.regularization,
            standardize=standardization(lambda: _evenly_spaced_images(splits.train)),
        )
        load_initial_weights(self.model, recipe)

    def phases(self) -> Iterator[Phase]:
        recipe = self._recipe
        yield Phase(self.model, self._pixels(), recipe.training.epochs, recipe.optimizer)

    def predict(self, split: Split, name: str) -> np.ndarray:
        if self.graph:
            return self._recipe.task.outputs(self.graph.outputs(split), split.images)
        if len(split) <= _EAGER_IMAGES and can_be_kept(split):
            batches = self._kept_batches(split)
            parts = [np.asarray(self.model(inputs, training=False)) for inputs, _ in batches]
            outputs = np.concatenate(parts)
        else:
            outputs = self.model.predict(self._evaluation_batches(split), verbose=0)
        return self._recipe.task.outputs(outputs, split.images)

    def _pixels(self) -> TrainingData:
        recipe, train = self._recipe, self._splits.train
        class_weights = training_class_weights(recipe, self._splits)

        def training(first_epoch: int, epochs: int) -> tf.data.Dataset:
            return training_batches(
                train,
                encoding=self._encoding,
                batch_size=recipe.data.batch_size,
                augmentation=self._layers,
                seed=recipe.seed,
                first_epoch=first_epoch,
                epochs=epochs,
                sampling=recipe.data.sampling,
                class_weights=class_weights,
            )

        return TrainingData(
            training=training,
            validation=self._validation_batches(),
            steps_per_epoch=steps_per_epoch(train, recipe.data.batch_size),
            graph=self._graph_batches(class_weights),
        )

    def _graph_batches(self, class_weights: np.ndarray | None) -> GraphBatches | None:
        recipe, train = self._recipe, self._splits.train
        read = in_graph_reader(
            train,
            encoding=self._encoding,
            augmentation=self._layers,
            seed=recipe.seed,
            class_weights=class_weights,
        )
        if read is None:
            return None
        batch_size = recipe.data.batch_size
        size = len(train) if batch_size == "all" else batch_size

        def chunks(first_epoch: int, epochs: int) -> tf.data.Dataset:
            return step_chunks(
                train.strata,
                batch_size=size,
                steps=MAX_STEPS_PER_CALL,
                seed=recipe.seed,
                first_epoch=first_epoch,
                epochs=epochs,
                sampling=recipe.data.sampling,
            )

        return GraphBatches(chunks, read, size, steps_per_epoch(train, size * MAX_STEPS_PER_CALL))

    def _validation_batches(self) -> Any:
        validation = self._splits.validation
        if validation is None or not can_be_kept(validation):
            return None if validation is None else self._evaluation_batches(validation)
        return self._kept_batches(validation)

    def _kept_batches(self, split: Split) -> list[tuple[Any, ...]]:
        size = _evaluation_batch_size(split)
        return kept_batches(split, encoding=self._encoding, batch_size=size)

    def _evaluation_batches(self, split: Split) -> tf.data.Dataset:
        size = _evaluation_batch_size(split)
        return evaluation_batches(split, encoding=self._encoding, batch_size=size)


def _evaluation_batch_size(split: Split) -> int:
    least, most = _EVALUATED_IMAGES
    return min(max(_EVALUATED_VALUES // math.prod(split.images.shape), least), most)


def _evenly_spaced_images(split: Split) -> np.ndarray:
    indices = np.linspace(0, len(split) - 1, min(len(split), _MEASURED_IMAGES)).astype(int)
    return split.images.read(indices)
