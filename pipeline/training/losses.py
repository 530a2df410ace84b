"""Losses, and the metrics that are followed while a model trains."""

from __future__ import annotations

from typing import Any

from pipeline.training.keys import Loss


def loss_function(loss: Loss, *, label_smoothing: float) -> Any:
    """Return the Keras loss over probabilities."""
    import keras

    if loss == "binary_cross_entropy":
        return keras.losses.BinaryCrossentropy(label_smoothing=label_smoothing)
    return keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)


def running_metrics(loss: Loss, *, topk: int | None) -> list[Any]:
    """Return new Keras metrics: `accuracy` and, if asked for, `top_k_accuracy`."""
    import keras

    if loss == "binary_cross_entropy":
        return [keras.metrics.BinaryAccuracy(name="accuracy")]
    metrics: list[Any] = [keras.metrics.CategoricalAccuracy(name="accuracy")]
    if topk:
        name = f"top_{topk}_accuracy"
        metrics.append(keras.metrics.TopKCategoricalAccuracy(topk, name=name))
    return metrics
