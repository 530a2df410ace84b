"""Losses, and the metrics of each epoch."""

from __future__ import annotations

from typing import Any

import keras

from pipeline.training.training_config import Loss


def loss_function(loss: Loss, *, label_smoothing: float) -> Any:
    """Return the Keras loss over probabilities."""
    if loss == "binary_cross_entropy":
        return keras.losses.BinaryCrossentropy(label_smoothing=label_smoothing)
    return keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)


def running_metrics(loss: Loss, *, top_k: int | None) -> list[Any]:
    """Return new Keras metrics: `accuracy` and, if asked for, `top_k_accuracy`."""
    if loss == "binary_cross_entropy":
        return [keras.metrics.MeanMetricWrapper(_binary_accuracy, name="accuracy")]
    metrics: list[Any] = [keras.metrics.CategoricalAccuracy(name="accuracy")]
    if top_k:
        name = f"top_{top_k}_accuracy"
        metrics.append(keras.metrics.TopKCategoricalAccuracy(top_k, name=name))
    return metrics


def _binary_accuracy(labels: Any, probabilities: Any) -> Any:
    """Return whether the more probable class is that of the label, or of most of a mixed label."""
    majority = keras.ops.cast(labels > 0.5, probabilities.dtype)
    return keras.metrics.binary_accuracy(majority, probabilities)
