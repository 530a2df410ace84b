"""Train transfer models on cached features of their frozen base."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from pipeline.array_cache import shard_directory
from pipeline.data.image_source import augmentation_of
from pipeline.data.splits import Split, Splits
from pipeline.engines.engine import ENGINES, EngineName, Precision
from pipeline.errors import TrainingError
from pipeline.features.cached_features import (
    CachedFeatures,
    HeadInputs,
)
from pipeline.features.engine_choice import EngineOptions
from pipeline.features.shards import Machines
from pipeline.features.splitting import ModelSplit, split_before_head, split_before_layer
from pipeline.features.view_stream import AugmentedViews
from pipeline.models import transfer
from pipeline.recipe.grammar import Recipe
from pipeline.stages.head_trainer import batches_of_head
from pipeline.stages.trainer import PixelTrainer, PretrainedFeatures
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.devices import Devices
from pipeline.training.layer_rates import LayerRates
from pipeline.training.phases import Phase
from pipeline.training.training_config import FineTuneConfig

logger = logging.getLogger(__name__)


_GIB = 2**30
_ACTIVATIONS, _PIXELS = "activations", "pixels"  # what fine-tuning runs on
_IMAGES_IN_MEMORY = 256
# They mix images, which may be of different folds.
_MIXING_LAYERS = (keras.layers.MixUp, keras.layers.CutMix)


class FeatureTrainer(PixelTrainer):
    """Trains the head on cached features of the base, then fine-tunes the end of the base.

    Fine-tuning uses cached activations too where they fit into the cache, else pixels.
    """

    def __init__(
        self,
        recipe: Recipe,
        splits: Splits,
        layers: Sequence[Any],
        devices: Devices,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        """Build the model.

        Args:
            recipe: what to build and how to train it.
            splits: the images.
            layers: of the augmentation.
            devices: what is trained on.
            checkpoints: keep what fine-tuning runs on, so that a resumed training does the same.

        Raises:
            ModelError: if the model cannot be built or fine-tuned as the recipe says.
        """
        super().__init__(recipe, splits, layers)
        fine_tune = recipe.training.fine_tune
        if fine_tune:  # before the features are computed and the head is trained
            start, batch_norm = fine_tune.start, fine_tune.train_batch_norm
            transfer.check_fine_tuning(self.model, start, batch_norm=batch_norm)
        self._devices, self._checkpoints = devices, checkpoints
        self._limit = int(recipe.runtime.cache_gb * _GIB)
        self._split = split_before_head(self.model)
        self._base_features = self._features_at(self._split)
        # Of the last phase; None where that trains on pixels.
        self._features: CachedFeatures | None = self._base_features

    def phases(self) -> Iterator[Phase]:
        """Yield the phase of the head and, if the recipe asks for it, the one of fine-tuning."""
        training = self._recipe.training
        self._inputs = self.head_inputs()
        batches = batches_of_head(self._inputs, self._recipe, self._splits)
        yield Phase(
            self._split.head,
            batches,
            training.epochs,
            self._recipe.optimizer,
            phases_after=1 if training.fine_tune else 0,
        )
        if training.fine_tune:
            yield self._fine_tuning(training.fine_tune)

    def head_inputs(self) -> HeadInputs:
        """Return what any head on this base is trained on.

        Raises:
            PipelineError: if the features do not fit on the disk.
        """
        return self._base_features.compute()

    def pool_inputs(self) -> HeadInputs | None:
        is_mixed = any(isinstance(layer, _MIXING_LAYERS) for layer in self._layers)
        if self._recipe.training.fine_tune or is_mixed:
            return None
        return self._base_features.compute_pool()

    def predict(self, split: Split, name: str) -> np.ndarray:
        if self._features is None:
            return super().predict(split, name)
        return self._recipe.task.outputs(self._features.outputs(split, name), split.images)

    def runs_whole_model(self) -> bool:
        return self._features is not self._base_features

    def evaluation_engine(self) -> EngineName:
        if self._features is None:
            return super().evaluation_engine()
        return self._features.choice().exact.engine

    def feature_maps(self, split: Split, indices: np.ndarray) -> np.ndarray:
        return self._base_features.feature_maps(split, indices)

    def base_features(self, split: Split, indices: np.ndarray, name: str) -> np.ndarray | None:
        if self._recipe.model.has_random_base:
            return None
        if self._features is self._base_features:
            return self._base_features.features(split, indices, name)
        # Fine-tuning has changed them.
        if self.graph:
            return self.graph.features(split, indices)
        model = keras.Model(self.model.input, self.model.get_layer(transfer.FEATURES).output)
        parts = np.split(indices, range(_IMAGES_IN_MEMORY, len(indices), _IMAGES_IN_MEMORY))
        batches = (self._evaluation_batches(split.subset(part)) for part in parts)
        features = [model.predict(each, verbose=0) for each in batches]
        return np.concatenate(features).astype(np.float32)

    def pretrained_features(self) -> PretrainedFeatures:
        train = self._inputs.train
        views = range(min(train.views, 4))

        def read(indices: np.ndarray) -> np.ndarray:
            total = train.batch(indices, 0)[0]
            for view in views[1:]:
                total += train.batch(indices, view)[0]
            total /= len(views)
            return total

        return PretrainedFeatures(read, self._base_features.training_key())

    def frozen_digest(self) -> str | None:
        is_frozen = self._features is self._base_features
        return self._split.frozen.digest if is_frozen else None

    def feature_facts(self) -> dict[str, Any]:
        choice = self._base_features.choice()
        return {
            "engine": choice.training.engine,
            "precision": choice.training.precision,
            "exact_engine": choice.exact.engine,
            "images_per_second": self._base_features.images_per_second(),
            "raced_images_per_second": dict(choice.speeds),
            "disagreements": choice.disagreements,
            "compared": choice.compared,
        }

    def feature_metrics(self) -> dict[str, float]:
        facts = self.feature_facts()
        names = ("images_per_second", "disagreements", "compared")
        return {f"features/{name}": float(facts[name]) for name in names}

    def _fine_tuning(self, config: FineTuneConfig) -> Phase:
        first = transfer.layer_index(self.model, config.start)
        added = transfer.unfreeze(self.model, first, batch_norm=config.train_batch_norm)
        logger.info(f"Fine-tuning from layer '{config.start}' ({added:,} more parameters)")
        optimizer = config.optimizer_after(self._recipe.optimizer)
        rates: LayerRates = ()
        if config.layer_decay < 1:
            rates = transfer.layer_rates(self.model, config.layer_decay)
        model_split = split_before_layer(self.model, first)
        features = self._features_at(model_split)

        def choose() -> str:
            return _fine_tuning_inputs(features, config.start)

        kept = self._checkpoints
        if (kept.choose_once("fine_tuning", choose) if kept else choose()) == _PIXELS:
            self._features = None
            return Phase(self.model, self._pixels(), config.epochs, optimizer, layer_rates=rates)
        self._features = features
        batches = batches_of_head(features.compute(), self._recipe, self._splits)
        return Phase(model_split.head, batches, config.epochs, optimizer, layer_rates=rates)

    def _features_at(self, model_split: ModelSplit) -> CachedFeatures:
        runtime = self._recipe.runtime
        return CachedFeatures(
            model_split,
            self._splits,
            self._encoding,
            self._views(),
            options=_engine_options(self._recipe, self._devices),
            limit=self._limit,
            machines=Machines(runtime.cluster, runtime.storage or str(shard_directory())),
        )

    def _views(self) -> AugmentedViews:
        entries = [entry.model_dump(mode="json") for entry in augmentation_of(self._recipe.data)]
        training = self._recipe.training
        epochs = training.epochs + (training.fine_tune.epochs if training.fine_tune else 0)
        count = min(training.views, epochs) if self._layers else 1
        return AugmentedViews(count, self._layers, entries, self._recipe.seed)


def _fine_tuning_inputs(features: CachedFeatures, layer: str | int) -> str:
    """Return what fine-tuning from a layer runs on: cached activations, where they fit."""
    needed, available = features.bytes_needed(), features.bytes_available()
    if needed <= available:
        return _ACTIVATIONS
    logger.info(
        f"Fine-tuning runs the whole base in every epoch: cached activations at layer '{layer}' "
        f"would need {needed / _GIB:.1f} GiB, but only {available / _GIB:.1f} GiB are available. "
        "To cache them, raise runtime.cache_gb or free disk space."
    )
    return _PIXELS


def _engine_options(recipe: Recipe, devices: Devices) -> EngineOptions:
    """Return the engines that the recipe and the devices allow.

    Raises:
        TrainingError: if the recipe asks for an engine that is not installed or is not for GPUs.
    """
    runtime = recipe.runtime
    precision: Precision | None = None
    if runtime.precision == "int8":
        precision = "int8"
    elif runtime.precision != "auto" or devices.on_gpu:
        precision = "bfloat16" if devices.precision == "mixed_bfloat16" else "float32"
    if devices.on_gpu:
        if runtime.engine == "openvino" or precision == "int8":
            raise TrainingError(
                "runtime.engine: OpenVINO computes on the CPU. Received GPUs. Set runtime.devices: "
                "cpu, or leave runtime.engine and runtime.precision at auto."
            )
        return EngineOptions(("tensorflow",), precision)
    missing = ENGINES["openvino"].missing_packages()
    if runtime.engine == "openvino" and missing:
        raise TrainingError(
            f"runtime.engine: openvino requires packages that are not installed: "
            f"{', '.join(missing)}. Install them, or leave runtime.engine at auto."
        )
    names: tuple[EngineName, ...] = ("openvino", "tensorflow")
    engines = [
        name for name in names if runtime.engine in ("auto", name) and ENGINES[name].is_installed()
    ]
    return EngineOptions(tuple(engines), precision)
