"""What the trials of one process share: images, and the features of a frozen base."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.metrics import classification_metrics, to_probabilities
from pipeline.features.cached_features import head_outputs
from pipeline.models import transfer
from pipeline.stages.evaluate_splits import predict_split
from pipeline.stages.train_model import compute_head_inputs, train_head, train_model

if TYPE_CHECKING:
    import numpy as np

    from pipeline.data.splits import Splits
    from pipeline.features.cached_features import HeadInputs
    from pipeline.recipe.grammar import Recipe

OnEpoch = Callable[[int, dict[str, float], float], None]

_MOST_SHARED = 4  # sets of images and of features in memory; the oldest goes


class TrialTrainer:
    """Trains and judges one recipe after another, and does once what they have in common."""

    def __init__(self) -> None:
        self._splits: OrderedDict[str, Splits] = OrderedDict()
        self._activations: OrderedDict[str, HeadInputs] = OrderedDict()

    def splits(self, recipe: Recipe) -> Splits:
        """Return the images of a recipe.

        Raises:
            DataError: if they are not what the recipe says they are.
        """
        key = _key(recipe.data.model_dump(mode="json", exclude={"batch_size", "augmentation"}))
        return _shared(self._splits, key, recipe.data.load)

    def judged(self, recipe: Recipe, *, on_epoch: OnEpoch) -> dict[str, float]:
        """Train a recipe, and return its metrics of the validation images as a run has them.

        `val_loss` is that of the best epoch. The test images are not looked at.

        Raises:
            PipelineError: if the model cannot be built or trained.
        """
        splits = self.splits(recipe)
        predicted, history = self._predictions(recipe, splits, on_epoch)
        values = classification_metrics(
            splits.validation.labels,
            predicted,
            class_names=splits.class_names,
            top_k=recipe.training.top_k,
        )
        return {
            "best_epoch": float(history.best_epoch),
            "val_loss": float(history.rows[history.best_epoch - 1]["val_loss"]),
            **{f"val_{name}": value for name, value in values.items()},
        }

    def _predictions(
        self, recipe: Recipe, splits: Splits, on_epoch: OnEpoch
    ) -> tuple[np.ndarray, Any]:
        """Train; return the probabilities of the validation images and what happened."""
        if isinstance(recipe.model, transfer.TransferConfig) and not recipe.training.fine_tune:
            activations = self._activations_of(recipe, splits)
            head, history = train_head(recipe, splits, activations, on_epoch=on_epoch)
            return to_probabilities(head_outputs(head, activations.validation)), history
        trained = train_model(recipe, splits, on_epoch=on_epoch, show_progress=False)
        return predict_split(recipe, splits, splits.validation, "val", trained), trained.history

    def _activations_of(self, recipe: Recipe, splits: Splits) -> HeadInputs:
        """Return what the heads of a recipe are trained on; as `features` keeps it on the disk."""
        data, model, training = recipe.data, recipe.model, recipe.training
        varied = bool(data.augmentation)
        key = _key(
            [
                splits.digest,
                data.model_dump(mode="json", include={"augmentation", "image_size"}),
                model.model_dump(mode="json", include={"base", "weights"}),
                min(training.views, training.epochs) if varied else 1,
                recipe.seed if varied or getattr(model, "weights", "") is None else None,
                recipe.runtime.model_dump(mode="json"),
            ]
        )
        return _shared(self._activations, key, lambda: compute_head_inputs(recipe, splits))


def _key(parts: Any) -> str:
    return json.dumps(parts, sort_keys=True)


def _shared(kept: OrderedDict[str, Any], key: str, make: Callable[[], Any]) -> Any:
    if key not in kept:
        kept[key] = make()
        while len(kept) > _MOST_SHARED:
            kept.popitem(last=False)
    kept.move_to_end(key)
    return kept[key]
