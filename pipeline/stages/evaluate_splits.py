"""How good a trained model is, on every split that was held out."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.data.batches import evaluation_batches
from pipeline.evaluation.metrics import (
    classification_metrics,
    predict_probabilities,
    to_probabilities,
)
from pipeline.evaluation.predictions import Predictions
from pipeline.stages.leakage_effect import measure_leakage_effect
from pipeline.stages.train_model import EVALUATION_BATCH, TrainedModel

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    import numpy as np

    from pipeline.data.splits import Split, Splits
    from pipeline.features.feature_trainer import FeatureTrainer
    from pipeline.recipe.grammar import Recipe

ONE_DISAGREEMENT_IN = 150  # images may the kept features give another label; one always


@dataclass(frozen=True)
class Evaluation:
    """How good a model is.

    Attributes:
        metrics: by name, `val_*` and `test_*`.
        predictions: what the model gives the images of each split, by the prefix of its metrics.
    """

    metrics: dict[str, float]
    predictions: dict[str, Predictions]


def evaluate_splits(recipe: Recipe, splits: Splits, trained: TrainedModel) -> Evaluation:
    """Judge a model by every split that was held out.

    `val_*` is of the split that chose the epoch, `test_*` of the one that is looked at here only.
    """
    metrics: dict[str, float] = {"best_epoch": float(trained.history.best_epoch)}
    kept: dict[str, Predictions] = {}
    for prefix, split in (("val", splits.validation), ("test", splits.test)):
        if split is None:
            continue
        predicted = predict_split(recipe, splits, split, prefix, trained)
        values = classification_metrics(
            split.labels, predicted, class_names=splits.class_names, top_k=recipe.training.top_k
        )
        metrics |= {f"{prefix}_{name}": value for name, value in values.items()}
        kept[prefix] = Predictions(
            splits.class_names, split.names, split.image_digests, split.labels, predicted
        )
        is_right = predicted.argmax(axis=1) == split.labels
        metrics |= measure_leakage_effect(splits, prefix, is_right)
        if prefix == "val" and trained.fitting:
            metrics |= _trust(trained.fitting, predicted.argmax(axis=1))
    return Evaluation(metrics, kept)


def predict_split(
    recipe: Recipe, splits: Splits, split: Split, prefix: str, trained: TrainedModel
) -> np.ndarray:
    """Return the probabilities that a model gives the images of a split, (n, classes)."""
    outputs = trained.fitting.outputs(split, prefix) if trained.fitting else None
    if outputs is not None:
        return to_probabilities(outputs)
    batches = evaluation_batches(
        split,
        classes=len(splits.class_names),
        output=recipe.output,
        batch_size=EVALUATION_BATCH,
    )
    return predict_probabilities(trained.model, batches)


def _trust(fitting: FeatureTrainer, chosen: np.ndarray) -> dict[str, float]:
    """Return how far the kept features can be trusted; say so loudly where they can't."""
    report = fitting.report()
    found = {
        "features/relative_error": float(report["relative_error"]),
        "features/images_per_second": float(report["images_per_second"]),
    }
    disagreements = fitting.disagreements(chosen)
    if disagreements is not None:
        found["features/disagreements"] = float(disagreements)
        if disagreements > max(1, len(chosen) // ONE_DISAGREEMENT_IN):
            logger.warning(
                f"the model trained on features in {report['precision']} gives "
                f"{disagreements} of {len(chosen)} validation images another label than the whole "
                "model does. The metrics are the whole model's. To train on exact features set "
                "runtime.precision: float32."
            )
    return found
