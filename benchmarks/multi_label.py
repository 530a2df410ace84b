"""A multi-label recipe with a frozen base against logistic regression on the same features.

    python benchmarks/multi_label.py RECIPE

Both learn from the same training images. The same validation images choose the epoch here, the
strength of regularization there, and the thresholds of both. Both are judged by the same test
images, which chose nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.data.splits import Splits
from pipeline.evaluation.label_set_metrics import choose_thresholds
from pipeline.evaluation.predictions import Predictions
from pipeline.recipe.loader import load_recipe
from pipeline.stages.evaluate_splits import evaluate_splits
from pipeline.stages.train_model import train_model
from pipeline.stages.trainer import Trainer
from pipeline.tasks import multi_label

_STRENGTHS = (0.001, 0.01, 0.1, 1.0)


def main() -> None:
    """Train both, and print their metrics of the test images and the differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    recipe = load_recipe(parser.parse_args().recipe).recipe
    splits = recipe.data.load()
    trained = train_model(recipe, splits, on_epoch=lambda *_: None, show_progress=False)
    ours = evaluate_splits(recipe, splits, trained).predictions["test"]
    theirs = _logistic_regression(splits, trained.trainer, ours)
    for name, predictions in (("pipeline", ours), ("scikit-learn", theirs)):
        metrics = multi_label.metrics(
            predictions.labels, predictions.outputs, predictions.thresholds
        )
        shown = [
            f"{metric} {metrics[metric]:.4f} "
            f"({metrics[f'{metric}_low']:.3f} to {metrics[f'{metric}_high']:.3f})"
            for metric in multi_label.main_metrics(is_imbalanced=False)
        ]
        print(f"{name:<12}  {'  '.join(shown)}")
    for metric, difference in multi_label.compare(theirs, ours).metrics.items():
        bounds = f"{difference.low:+.4f} to {difference.high:+.4f}"
        print(f"difference in {metric}: {difference.value:+.4f} ({bounds})")


def _logistic_regression(splits: Splits, trainer: Trainer, like: Predictions) -> Predictions:
    """Return the predictions of one logistic regression for each label, for the test images."""
    features = {}
    for name, split in splits.named().items():
        features[name] = trainer.base_features(split, np.arange(len(split)), name)
    labels = {name: split.labels for name, split in splits.named().items()}
    best = None
    for strength in _STRENGTHS:
        model = make_pipeline(
            StandardScaler(), OneVsRestClassifier(LogisticRegression(C=strength, max_iter=2000))
        ).fit(features["train"], labels["train"])
        validated = model.predict_proba(features["val"])
        loss = multi_label.image_losses(labels["val"], validated).mean()
        if best is None or loss < best[0]:
            best = loss, strength, model, validated
    assert best is not None
    _, strength, model, validated = best
    print(f"scikit-learn: C={strength:g} is the best of {', '.join(map(str, _STRENGTHS))}")
    return Predictions(
        like.class_names,
        like.names,
        like.digests,
        like.labels,
        model.predict_proba(features["test"]),
        choose_thresholds(labels["val"], validated),
    )


if __name__ == "__main__":
    main()
