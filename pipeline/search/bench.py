"""What the trials of one process share: images, and the features of a frozen base."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from pipeline.data.splits import Splits
    from pipeline.features.shortcut import Activations
    from pipeline.recipe.schema import Recipe

Say = Callable[[str], None]
OnEpoch = Callable[[int, dict[str, float], float], None]

_MOST_SHARED = 4  # sets of images and of features in memory; the oldest goes


class Bench:
    """Trains and judges one recipe after another, and does once what they have in common."""

    def __init__(self) -> None:
        self._splits: OrderedDict[str, Splits] = OrderedDict()
        self._activations: OrderedDict[str, Activations] = OrderedDict()

    def splits(self, recipe: Recipe, *, say: Say) -> Splits:
        """Return the images of a recipe.

        Raises:
            DataError: if they are not what the recipe says they are.
        """
        from pipeline.data.sources import SOURCES

        key = _key(recipe.data.model_dump(mode="json", exclude={"batch_size", "augmentation"}))
        return _shared(
            self._splits, key, lambda: SOURCES[recipe.data.source].load(recipe.data, say=say)
        )

    def judged(self, recipe: Recipe, *, on_epoch: OnEpoch, say: Say) -> dict[str, float]:
        """Train a recipe, and return its metrics of the validation images as a run has them.

        `val_loss` is that of the best epoch. The test images are not looked at.

        Raises:
            PipelineError: if the model cannot be built or trained.
        """
        from pipeline.evaluation.metrics import classification_metrics

        splits = self.splits(recipe, say=say)
        predicted, history = self._predictions(recipe, splits, on_epoch, say)
        values = classification_metrics(
            splits.validation.labels,
            predicted,
            class_names=splits.class_names,
            topk=recipe.training.topk,
        )
        return {
            "best_epoch": float(history.best_epoch),
            "val_loss": float(history.rows[history.best_epoch - 1]["val_loss"]),
            **{f"val_{name}": value for name, value in values.items()},
        }

    def _predictions(
        self, recipe: Recipe, splits: Splits, on_epoch: OnEpoch, say: Say
    ) -> tuple[np.ndarray, Any]:
        """Train; return the probabilities of the validation images and what happened."""
        from pipeline.evaluation.metrics import of_outputs
        from pipeline.features.shortcut import outputs_of
        from pipeline.models import transfer
        from pipeline.stages.judge import predictions
        from pipeline.stages.learn import learn, learn_head

        if isinstance(recipe.model, transfer.Keys) and not recipe.training.fine_tune:
            activations = self._activations_of(recipe, splits, say)
            head, history = learn_head(recipe, splits, activations, on_epoch=on_epoch)
            return of_outputs(outputs_of(head, activations.validation)), history
        trained = learn(
            recipe, splits, on_epoch=on_epoch, say=lambda message: None, show_progress=False
        )
        return predictions(recipe, splits, splits.validation, "val", trained), trained.history

    def _activations_of(self, recipe: Recipe, splits: Splits, say: Say) -> Activations:
        """Return what the heads of a recipe are trained on; as `features` keeps it on the disk."""
        from pipeline.stages.learn import activations_of_heads

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
        return _shared(
            self._activations, key, lambda: activations_of_heads(recipe, splits, say=say)
        )


def _key(parts: Any) -> str:
    return json.dumps(parts, sort_keys=True)


def _shared(kept: OrderedDict[str, Any], key: str, make: Callable[[], Any]) -> Any:
    if key not in kept:
        kept[key] = make()
        while len(kept) > _MOST_SHARED:
            kept.popitem(last=False)
    kept.move_to_end(key)
    return kept[key]
