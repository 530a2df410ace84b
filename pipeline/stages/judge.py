"""How good a trained model is, on every split that was held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.stages.leakage import effect_of_leakage
from pipeline.stages.learn import EVALUATION_BATCH, Trained

if TYPE_CHECKING:
    import numpy as np

    from pipeline.data.splits import Split, Splits
    from pipeline.evaluation.predictions import Predictions
    from pipeline.features.fitting import TransferFitting
    from pipeline.recipe.schema import Recipe

ONE_DISAGREEMENT_IN = 150  # images may the kept features give another label; one always


@dataclass(frozen=True)
class Judgement:
    """How good a model is.

    Attributes:
        metrics: by name, `val_*` and `test_*`.
        predictions: what the model gives the images of each split, by the prefix of its metrics.
    """

    metrics: dict[str, float]
    predictions: dict[str, Predictions]


def judge(
    recipe: Recipe, splits: Splits, trained: Trained, *, say: Callable[[str], None]
) -> Judgement:
    """Judge a model by every split that was held out.

    `val_*` is of the split that chose the epoch, `test_*` of the one that is looked at here only.
    """
    from pipeline.evaluation.metrics import classification_metrics
    from pipeline.evaluation.predictions import Predictions

    metrics: dict[str, float] = {"best_epoch": float(trained.history.best_epoch)}
    kept: dict[str, Predictions] = {}
    for prefix, split in (("val", splits.validation), ("test", splits.test)):
        if split is None:
            continue
        predicted = predictions(recipe, splits, split, prefix, trained)
        values = classification_metrics(
            split.labels, predicted, class_names=splits.class_names, topk=recipe.training.topk
        )
        metrics |= {f"{prefix}_{name}": value for name, value in values.items()}
        kept[prefix] = Predictions(
            splits.class_names, split.names, split.image_digests, split.labels, predicted
        )
        is_right = predicted.argmax(axis=1) == split.labels
        metrics |= effect_of_leakage(splits, prefix, is_right, say=say)
        if prefix == "val" and trained.fitting:
            metrics |= _trust(trained.fitting, predicted.argmax(axis=1), say)
    return Judgement(metrics, kept)


def predictions(
    recipe: Recipe, splits: Splits, split: Split, prefix: str, trained: Trained
) -> np.ndarray:
    """Return the probabilities that a model gives the images of a split, (n, classes)."""
    from pipeline.data.batches import evaluation_batches
    from pipeline.evaluation.metrics import of_outputs, probabilities

    outputs = trained.fitting.outputs(split, prefix) if trained.fitting else None
    if outputs is not None:
        return of_outputs(outputs)
    batches = evaluation_batches(
        split,
        classes=len(splits.class_names),
        output=recipe.output,
        batch_size=EVALUATION_BATCH,
    )
    return probabilities(trained.model, batches)


def _trust(
    fitting: TransferFitting, chosen: np.ndarray, say: Callable[[str], None]
) -> dict[str, float]:
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
            say(
                f"WARNING: the model trained on features in {report['precision']} gives "
                f"{disagreements} of {len(chosen)} validation images another label than the whole "
                "model does. The metrics are the whole model's. To train on exact features set "
                "runtime.precision: float32."
            )
    return found
