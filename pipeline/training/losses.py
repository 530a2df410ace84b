"""Losses, and the metrics of each epoch."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from pipeline.training.loss_config import (
    AsymmetricCrossEntropy,
    FocalCrossEntropy,
    Huber,
    Loss,
    loss_name,
    loss_section,
)

_OF_NUMBERS = {
    "mean_squared_error": "MeanSquaredError",
    "mean_absolute_error": "MeanAbsoluteError",
    "huber": "Huber",
}
_MIN_LIKELIHOOD = float(np.finfo(np.float64).eps)  # as in `pipeline.evaluation.metrics`


def loss_function(loss: Loss, *, label_smoothing: float, scale: float = 1.0) -> Any:
    """Return the Keras loss over the outputs of a model.

    Args:
        loss: `training.loss`.
        label_smoothing: the fraction of a label that is spread over all classes.
        scale: of the outputs, where they are numbers: errors are divided by it.
    """
    if loss_name(loss) in _OF_NUMBERS:
        return NumberLoss(_number_loss(loss), scale)
    is_binary = loss_name(loss).startswith("binary_")
    section = loss_section(loss)
    if isinstance(section, AsymmetricCrossEntropy):
        return AsymmetricLoss(section, label_smoothing=label_smoothing)
    focal = section if isinstance(section, FocalCrossEntropy) else None
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


def _number_loss(loss: Loss) -> Any:
    section = loss_section(loss)
    if isinstance(section, Huber):
        return keras.losses.Huber(section.delta, reduction=None)
    return keras.losses.get({"class_name": _OF_NUMBERS[loss_name(loss)], "config": {}})


class NumberLoss(keras.losses.Loss):
    """A loss of numbers, of errors in standard deviations of the label.

    So neither learning rates nor penalties depend on the unit of the label.

    Args:
        loss: the Keras loss.
        scale: the standard deviation.
    """

    def __init__(self, loss: Any, scale: float) -> None:
        super().__init__(name=loss.name)
        self._loss, self._scale = loss, scale

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each image, (n,), from numbers and estimates (n, units)."""
        return self._loss.call(y_true / self._scale, y_pred / self._scale)


def equivalent_loss(loss: Any) -> Any:
    """Return a loss of Keras that comes closest to one of `loss_function`."""
    if isinstance(loss, AsymmetricLoss):
        return "binary_crossentropy"
    return loss.name if isinstance(loss, NumberLoss) else loss


class AsymmetricLoss(keras.losses.Loss):
    """Asymmetric loss for images with several labels (Ridnik et al., 2021), its mean over labels.

    Each label has binary cross-entropy. Where an image has it, that is weighted by
    (1 - p)^gamma_positive. Otherwise, the probability p is lowered by `clip`, and the weight is
    p^gamma_negative.

    Args:
        section: of the recipe.
        label_smoothing: the fraction of a label that is halved between having it and not.
    """

    def __init__(self, section: AsymmetricCrossEntropy, *, label_smoothing: float) -> None:
        super().__init__(name="asymmetric_cross_entropy")
        self._section, self._smoothing = section, label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each image, (n,), from labels and probabilities (n, classes)."""
        ops, section = keras.ops, self._section
        probabilities = ops.cast(y_pred, "float32")
        labels = ops.cast(y_true, "float32") * (1 - self._smoothing) + self._smoothing / 2
        least = keras.config.epsilon()  # the gradient of a power is not finite at 0
        lowered = ops.maximum(probabilities - section.clip, least)
        missing = ops.maximum(1 - probabilities, least)
        positive = missing**section.gamma_positive * ops.log(ops.maximum(probabilities, least))
        negative = lowered**section.gamma_negative * ops.log(ops.maximum(1 - lowered, least))
        return -ops.mean(labels * positive + (1 - labels) * negative, axis=-1)


def label_set_metrics() -> list[Any]:
    """Return new Keras metrics of images that may have several labels: `log_loss`."""
    return [keras.metrics.MeanMetricWrapper(_label_set_log_loss, name="log_loss")]


def _label_set_log_loss(labels: Any, probabilities: Any) -> Any:
    """Return the mean log loss of the labels of each image, limited as in the evaluation."""
    labels, shares = (keras.ops.cast(each, "float32") for each in (labels, probabilities))
    positive = keras.ops.log(keras.ops.maximum(shares, _MIN_LIKELIHOOD))
    negative = keras.ops.log(keras.ops.maximum(1 - shares, _MIN_LIKELIHOOD))
    return -keras.ops.mean(labels * positive + (1 - labels) * negative, axis=-1)


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


class Mistakes(keras.metrics.Metric):
    """The number of wrong outputs of a unit whose outputs are 0 and 1.

    In training, each is counted when it is made, before the weights change.
    """

    NAME = "mistakes"

    def __init__(self) -> None:
        super().__init__(name=self.NAME)
        self._count = self.add_variable((), "zeros", name="count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch; `sample_weight` is ignored."""
        is_wrong = (keras.ops.cast(y_true, self.dtype) > 0.5) != (y_pred > 0.5)
        self._count.assign_add(keras.ops.sum(keras.ops.cast(is_wrong, self.dtype)))

    def result(self) -> Any:
        return self._count


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
