"""Train the trials of one process, which share images and the features of a frozen base."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Collection, Iterator
from typing import Any

from pipeline.data.splits import Splits
from pipeline.errors import DataError
from pipeline.evaluation.class_metrics import class_metric
from pipeline.evaluation.metrics import classification_metrics
from pipeline.features.cached_features import HeadInputs
from pipeline.recipe.grammar import Recipe
from pipeline.stages.data_checks import check_recipe_with_data
from pipeline.stages.train_model import compute_head_inputs, train_model, trains_head_alone

OnEpoch = Callable[[int, dict[str, float], float], None]

_MAX_SHARED = 4  # sets of images and of features in memory; the least recently used goes


class TrialTrainer:
    """Trains and evaluates one recipe after another without repeating what they share."""

    def __init__(self) -> None:
        self._splits: dict[str, Splits] = {}
        self._head_inputs: dict[str, HeadInputs] = {}

    def splits(self, recipe: Recipe) -> Splits:
        """Return the images of a recipe.

        Raises:
            DataError: if they are not as the recipe describes them.
        """
        key = _key(
            recipe.data.model_dump(mode="json", exclude={"batch_size", "sampling", "augmentation"})
        )
        return _shared(self._splits, key, recipe.data.load)

    def validation_metrics(
        self, recipe: Recipe, *, on_epoch: OnEpoch, epoch_metrics: Collection[str] = ()
    ) -> dict[str, float]:
        """Train a recipe, and return the metrics of the validation images that a run would have.

        The test images are not evaluated.

        Args:
            recipe: of the trial.
            on_epoch: as in `train_model`.
            epoch_metrics: as in `train_model`.

        Raises:
            PipelineError: if the model cannot be built or trained.
        """
        splits = self.splits(recipe)
        check_recipe_with_data(recipe, splits)
        if splits.validation is None:
            raise DataError("data.validation: a search needs validation images. Set it above 0.")
        inputs = self._inputs_of(recipe, splits) if trains_head_alone(recipe) else None
        with _only_warnings():
            trained = train_model(
                recipe,
                splits,
                on_epoch=on_epoch,
                epoch_metrics=epoch_metrics,
                show_progress=False,
                head_inputs=inputs,
            )
            probabilities = trained.trainer.predict(splits.validation, "val")
        labels = splits.validation.labels
        metrics = classification_metrics(labels, probabilities, top_k=recipe.training.top_k)
        predicted = probabilities.argmax(axis=1)
        for name in (metric.removeprefix("val_") for metric in epoch_metrics):
            of_class = class_metric(name, labels, predicted, splits.class_names)
            metrics |= {} if of_class is None else {name: of_class}
        return {
            **trained.history.metrics,
            **{f"val_{name}": value for name, value in metrics.items()},
        }

    def _inputs_of(self, recipe: Recipe, splits: Splits) -> HeadInputs:
        """Return what the head of a recipe is trained on, under the key of all it depends on."""
        data, model, training = recipe.data, recipe.model, recipe.training
        augmented = bool(data.augmentation)
        key = _key(
            [
                splits.digest,
                data.model_dump(mode="json", include={"augmentation", "image_size"}),
                model.model_dump(mode="json", include={"base", "weights"}),
                min(training.views, training.epochs) if augmented else 1,
                recipe.seed if augmented or model.has_random_base else None,
                recipe.runtime.model_dump(mode="json"),
            ]
        )
        return _shared(self._head_inputs, key, lambda: compute_head_inputs(recipe, splits))


@contextlib.contextmanager
def _only_warnings() -> Iterator[None]:
    """Do not log in every trial what a run logs about its model and its features."""
    logger = logging.getLogger("pipeline")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _key(parts: Any) -> str:
    return json.dumps(parts, sort_keys=True)


def _shared(values: dict[str, Any], key: str, make: Callable[[], Any]) -> Any:
    """Return the value of a key, made if there is none; the most recently used one comes last."""
    values[key] = values.pop(key) if key in values else make()
    if len(values) > _MAX_SHARED:
        del values[next(iter(values))]
    return values[key]
