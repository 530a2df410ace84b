"""Train heads alone, on features that are computed already."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from pipeline.data.batches import steps_per_epoch
from pipeline.data.splits import Split, Splits
from pipeline.features.cached_features import HeadInputs, head_batches, head_outputs
from pipeline.models.adjustable_regularization import AdjustableRegularization
from pipeline.recipe.grammar import Recipe
from pipeline.stages.class_balance import training_class_weights
from pipeline.stages.trainer import Trainer
from pipeline.training import model_state
from pipeline.training.compiled_model import CompiledModel
from pipeline.training.optimizers import schedule_of
from pipeline.training.phases import Phase
from pipeline.training.schedules import has_constant_peak, is_proportional
from pipeline.training.training_data import TrainingData

_MAX_HEADS = 16  # in memory; the least recently used goes


@dataclass
class _Head:
    """A head whose numbers can be changed without compiling it again.

    Attributes:
        initial: the values of its variables before training, by seed.
    """

    model: keras.Model
    regularization: AdjustableRegularization
    peak: Any
    compiled: CompiledModel = field(default_factory=CompiledModel)
    initial: dict[int, list[np.ndarray]] = field(default_factory=dict)


@dataclass(frozen=True)
class _HeadData:
    """The data of a training, and what it was made of."""

    inputs: HeadInputs
    splits: Splits
    settings: tuple[Any, ...]
    batches: TrainingData


class CompiledHeads:
    """Heads that were trained. One of the same structure is trained again, without compiling it."""

    def __init__(self) -> None:
        self._heads: dict[str, _Head] = {}
        self._data: _HeadData | None = None  # of the last training

    def adjusted(self, recipe: Recipe, splits: Splits, inputs: HeadInputs, steps: int) -> _Head:
        """Return a head with the initial weights and the numbers of a recipe.

        Args:
            recipe: of the head.
            splits: the images.
            inputs: what it is trained on.
            steps: training steps per epoch.
        """
        key = _structure(recipe, splits, inputs, steps)
        head = self._heads.pop(key, None) or _build(recipe, splits, inputs)
        self._heads[key] = head  # the most recently used one comes last
        if len(self._heads) > _MAX_HEADS:
            del self._heads[next(iter(self._heads))]
        if recipe.seed not in head.initial:
            head.initial |= _build(recipe, splits, inputs).initial
        model_state.assign(model_state.variables(head.model), head.initial[recipe.seed])
        head.regularization.adjust(recipe.regularization)
        if head.peak is not None:
            head.peak.assign(recipe.optimizer.learning_rate)
        return head

    def batches(self, recipe: Recipe, splits: Splits, inputs: HeadInputs) -> TrainingData:
        """Return what `batches_of_head` does, the same object as before where nothing differs."""
        settings = (
            recipe.seed,
            recipe.data,
            recipe.training.class_weight,
            recipe.output_layer(splits),
        )
        data = self._data
        if not (
            data and data.inputs is inputs and data.splits is splits and data.settings == settings
        ):
            data = _HeadData(inputs, splits, settings, batches_of_head(inputs, recipe, splits))
            self._data = data
        return data.batches


class HeadTrainer(Trainer):
    """Trains the head of a transfer model alone.

    Its weights, metrics and predictions for the validation images are those of `FeatureTrainer`.
    """

    model: keras.Model

    def __init__(
        self, recipe: Recipe, splits: Splits, inputs: HeadInputs, heads: CompiledHeads
    ) -> None:
        """Build the head, or take one that was trained.

        Args:
            recipe: a transfer recipe without fine-tuning.
            splits: the images.
            inputs: what `compute_head_inputs` returned for such a recipe.
            heads: that may be trained again; none of them is used any more.
        """
        self._recipe, self._inputs = recipe, inputs
        steps = steps_per_epoch(inputs.train, recipe.data.batch_size)
        self._head = heads.adjusted(recipe, splits, inputs, steps)
        self._batches = heads.batches(recipe, splits, inputs)
        self.model = self._head.model

    def phases(self) -> Iterator[Phase]:
        recipe, head = self._recipe, self._head
        yield Phase(
            head.model,
            self._batches,
            recipe.training.epochs,
            recipe.optimizer,
            compiled=head.compiled,
            peak=head.peak,
        )

    def predict(self, split: Split, name: str) -> np.ndarray:
        """Return the outputs of the validation images, the only ones with features."""
        assert self._inputs.validation is not None
        outputs = head_outputs(self.model, self._inputs.validation)
        return self._recipe.task.outputs(outputs, split.images)


def batches_of_head(inputs: HeadInputs, recipe: Recipe, splits: Splits) -> TrainingData:
    """Return the data that the head of a recipe is fitted to.

    Args:
        inputs: the features of the images, or their activations inside the base.
        recipe: of the head.
        splits: the images.
    """
    return head_batches(
        inputs,
        splits.train.strata,
        encoding=recipe.label_encoding(splits),
        batch_size=recipe.data.batch_size,
        seed=recipe.seed,
        sampling=recipe.data.sampling,
        class_weights=training_class_weights(recipe, splits),
    )


def _build(recipe: Recipe, splits: Splits, inputs: HeadInputs) -> _Head:
    # Keras draws the seeds of weights and of dropout from this generator. `set_random_seed` would
    # also discard what TensorFlow has prepared of every compiled function, which takes longer than
    # a short training.
    random.seed(recipe.seed)
    regularization = AdjustableRegularization(**recipe.regularization.model_dump())
    model = recipe.model.build_head(  # type: ignore[attr-defined]
        features=inputs.train.activations[0].shape[-1],
        output=recipe.output_layer(splits),
        regularization=regularization,
    )
    peak = None
    if is_proportional(schedule_of(recipe.optimizer)):
        peak = keras.Variable(recipe.optimizer.learning_rate, dtype="float32", trainable=False)
    initial = model_state.values(model_state.variables(model))
    return _Head(model, regularization, peak, initial={recipe.seed: initial})


def _structure(recipe: Recipe, splits: Splits, inputs: HeadInputs, steps: int) -> str:
    """Return all that a compiled head depends on but the numbers that can be changed."""
    regularization = recipe.regularization.model_dump(mode="json")
    for name in ("dropout", "l1", "l2"):
        regularization[name] = bool(regularization[name])
    optimizer = recipe.optimizer.model_dump(mode="json")
    schedule = schedule_of(recipe.optimizer)
    if is_proportional(schedule) or has_constant_peak(schedule):
        del optimizer["learning_rate"]  # a variable
    output = recipe.output_layer(splits)
    return json.dumps(
        [
            recipe.data.task,
            [output.scale, output.offset],
            recipe.model.model_dump(mode="json"),
            regularization,
            optimizer,
            recipe.training.model_dump(mode="json", include={"epochs", "loss", "top_k"}),
            recipe.runtime.model_dump(mode="json"),
            inputs.train.activations[0].shape[-1],
            len(splits.class_names),
            steps,
        ],
        sort_keys=True,
    )
