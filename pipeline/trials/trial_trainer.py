"""Train the trials of one process, which share images and the features of a frozen base."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any

from pipeline.console import only_warnings
from pipeline.data.folds import Fold
from pipeline.data.image_source import augmentation_of
from pipeline.data.splits import Splits
from pipeline.errors import DataError
from pipeline.features.cached_features import HeadInputs
from pipeline.recipe.grammar import Recipe
from pipeline.stages.cross_validate import folds_of, train_fold
from pipeline.stages.data_checks import check_recipe_with_data
from pipeline.stages.evaluate_splits import metrics_of_images, validation_thresholds
from pipeline.stages.head_trainer import CompiledHeads
from pipeline.stages.train_model import (
    OnEpoch,
    compute_head_inputs,
    compute_pool_inputs,
    train_model,
    trains_head_alone,
)

_MAX_SHARED = 4  # sets of images and of features in memory; the least recently used goes


class TrialTrainer:
    """Trains and evaluates one recipe after another without repeating what they share.

    In another process it is an empty one: nothing that it shares can be pickled.
    """

    def __init__(self) -> None:
        self._splits: dict[str, Splits] = {}
        self._head_inputs: dict[str, HeadInputs] = {}
        self._pool_inputs: dict[str, HeadInputs | None] = {}
        self._folds: dict[str, list[Fold]] = {}
        self._heads = CompiledHeads()

    def __reduce__(self) -> tuple[type[TrialTrainer], tuple[()]]:
        return TrialTrainer, ()

    def splits(self, recipe: Recipe) -> Splits:
        """Return the images of a recipe.

        Raises:
            DataError: if they are not as the recipe describes them.
        """
        key = _key(
            recipe.data.model_dump(mode="json", exclude={"batch_size", "sampling", "augmentation"})
        )
        return _shared(self._splits, key, recipe.data.load)

    def evaluate(
        self, recipe: Recipe, *, on_epoch: OnEpoch, epoch_metrics: Collection[str] = ()
    ) -> list[dict[str, float]]:
        """Train a recipe, and return the metrics of images that were not trained on.

        The test images are not evaluated.

        Args:
            recipe: of the trial.
            on_epoch: as in `train_model`; of folds, it is told of the first one.
            epoch_metrics: as in `train_model`.

        Returns:
            The metrics of each fold; without folds, those of the validation images, which a run
            has. All names start with `val_`, but for those of the training.

        Raises:
            PipelineError: if the model cannot be built or trained.
        """
        if recipe.training.folds is None:
            return [self._validation_metrics(recipe, on_epoch, epoch_metrics)]
        splits = self._checked_splits(recipe)
        training = recipe.training.model_dump(mode="json", include={"folds", "fold_repeats"})
        key = _key([splits.digest, training, recipe.data.split_seed])
        folds = _shared(self._folds, key, lambda: folds_of(recipe, splits))
        inputs = None
        if trains_head_alone(recipe):
            key = _inputs_key(recipe, splits)
            inputs = _shared(self._pool_inputs, key, lambda: compute_pool_inputs(recipe, splits))
        evaluations = []
        for fold in folds:
            trained, metrics = train_fold(
                recipe,
                splits,
                fold,
                pool_inputs=inputs,
                on_epoch=on_epoch if fold is folds[0] else lambda *_: None,
                heads=self._heads,
                names=epoch_metrics,
            )
            named = {f"val_{name}": value for name, value in metrics.items()}
            evaluations.append({**trained.history.metrics, **named})
        return evaluations

    def _validation_metrics(
        self, recipe: Recipe, on_epoch: OnEpoch, epoch_metrics: Collection[str]
    ) -> dict[str, float]:
        splits = self._checked_splits(recipe)
        assert splits.validation is not None
        inputs = self._inputs_of(recipe, splits) if trains_head_alone(recipe) else None
        with only_warnings():
            trained = train_model(
                recipe,
                splits,
                on_epoch=on_epoch,
                epoch_metrics=epoch_metrics,
                show_progress=False,
                head_inputs=inputs,
                heads=self._heads,
            )
            outputs = trained.trainer.predict(splits.validation, "val")
        thresholds = validation_thresholds(splits, lambda split, name: outputs)
        metrics = metrics_of_images(
            recipe,
            splits.validation.labels,
            outputs,
            thresholds,
            splits.class_names,
            epoch_metrics,
        )
        return {
            **trained.history.metrics,
            **{f"val_{name}": value for name, value in metrics.items()},
        }

    def _checked_splits(self, recipe: Recipe) -> Splits:
        splits = self.splits(recipe)
        check_recipe_with_data(recipe, splits)
        if splits.validation is None:
            raise DataError("data.validation: a search needs a validation split. Set it above 0.")
        return splits

    def _inputs_of(self, recipe: Recipe, splits: Splits) -> HeadInputs:
        """Return what the head of a recipe is trained on."""
        key = _inputs_key(recipe, splits)
        return _shared(self._head_inputs, key, lambda: compute_head_inputs(recipe, splits))


def _inputs_key(recipe: Recipe, splits: Splits) -> str:
    """Return the key of all that the inputs of a head depend on."""
    data, model, training = recipe.data, recipe.model, recipe.training
    augmented = bool(augmentation_of(data))
    return _key(
        [
            splits.digest,
            data.model_dump(mode="json", include={"augmentation", "image_size"}),
            model.model_dump(mode="json", include={"base", "weights"}),
            min(training.views, training.epochs) if augmented else 1,
            recipe.seed if augmented or model.has_random_base else None,
            recipe.runtime.model_dump(mode="json"),
        ]
    )


def _key(parts: Any) -> str:
    return json.dumps(parts, sort_keys=True)


def _shared(values: dict[str, Any], key: str, make: Callable[[], Any]) -> Any:
    """Return the value of a key, made if there is none; the most recently used one comes last."""
    values[key] = values.pop(key) if key in values else make()
    if len(values) > _MAX_SHARED:
        del values[next(iter(values))]
    return values[key]
