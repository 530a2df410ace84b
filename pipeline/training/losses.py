"""Losses, and the metrics of each epoch."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from pipeline.training.loss_config import Loss, focal_section, loss_name

_MIN_LIKELIHOOD = float(np.finfo(np.float64).eps)  # as in `pipeline.evaluation.metrics`


def loss_function(loss: Loss, *, label_smoothing: float) -> Any:
    """Return the Keras loss over probabilities."""
    is_binary = loss_name(loss).startswith("binary_")
    focal = focal_section(loss)
    if focal and is_binary:
        return keras.losses.BinaryFocalCrossentropy(
            gamma=focal.gamma, label_smoothing=label_smoothing
        )
    if focal:  # an alpha other than 1 would only scale the loss: it is the same for all classes
        return keras.losses.CategoricalFocalCrossentropy(
            alpha=1.0, gamma=focal.gamma, label_smoothing=label_smoothing
        )
    if is_binary:
        return keras.losses.BinaryCrossentropy(label_smoothing=label_smoothing)
    return keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)


def running_metrics(activation: str, *, classes: int, top_k: int | None) -> list[Any]:
    """Return new Keras metrics: `accuracy`, `log_loss` and so on.

    `log_loss` is that of the predictions alone. Unlike `loss`, it has no penalty of the weights, no
    label smoothing and no class weights, so that epochs and trials are comparable by it.
    """
    mean = keras.metrics.MeanMetricWrapper
    metrics: list[Any] = [
        keras.metrics.CategoricalAccuracy(name="accuracy")
        if activation == "softmax"
        else mean(_binary_accuracy, name="accuracy"),
        mean(_log_loss, name="log_loss"),
        BalancedAccuracy(classes),
    ]
    if top_k:
        name = f"top_{top_k}_accuracy"
        metrics.append(keras.metrics.TopKCategoricalAccuracy(top_k, name=name))
    return metrics


def _binary_accuracy(labels: Any, probabilities: Any) -> Any:
    """Return whether the more probable class is that of the label, or of most of a mixed label."""
    majority = keras.ops.cast(labels > 0.5, probabilities.dtype)
    return keras.metrics.binary_accuracy(majority, probabilities)


def _log_loss(labels: Any, probabilities: Any) -> Any:
    """Return the negative log-likelihood of each image, limited as in the evaluation.

    Keras's cross-entropies are limited elsewhere, or not at all where they recover the logits.
    """
    labels, shares = (keras.ops.cast(each, "float32") for each in (labels, probabilities))
    if shares.shape[-1] == 1:
        labels, shares = (
            keras.ops.concatenate([1 - each, each], axis=-1) for each in (labels, shares)
        )
    logarithms = keras.ops.log(keras.ops.maximum(shares, _MIN_LIKELIHOOD))
    return -keras.ops.sum(labels * logarithms, axis=-1)


class BalancedAccuracy(keras.metrics.Metric):
    """The mean recall of the classes that have images.

    The class of an image with mixed labels is the one with the largest share.

    Args:
        classes: their number; with two, predictions may also be (n, 1), the probability of the
            second one.
    """

    def __init__(self, classes: int) -> None:
        super().__init__(name="balanced_accuracy")
        self._classes = classes
        self._images = self.add_variable((classes,), "zeros", name="images")
        self._correct = self.add_variable((classes,), "zeros", name="correct")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch; `sample_weight` is ignored."""
        labels, predicted = _classes_of(y_true), _classes_of(y_pred)
        one_hot = keras.ops.one_hot(labels, self._classes, dtype=self.dtype)
        is_correct = keras.ops.cast(labels == predicted, self.dtype)
        self._images.assign_add(keras.ops.sum(one_hot, axis=0))
        self._correct.assign_add(keras.ops.sum(one_hot * is_correct[:, None], axis=0))

    def result(self) -> Any:
        recalls = self._correct / keras.ops.maximum(self._images, 1)
        present = keras.ops.sum(keras.ops.cast(self._images > 0, self.dtype))
        return keras.ops.sum(recalls) / keras.ops.maximum(present, 1)


def _classes_of(shares: Any) -> Any:
    """Return the class of each row, int32 (n,)."""
    if shares.shape[-1] == 1:
        return keras.ops.cast(shares[:, 0] > 0.5, "int32")
    return keras.ops.cast(keras.ops.argmax(shares, axis=-1), "int32")
