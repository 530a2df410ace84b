"""Classification: each image is of one class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pipeline.config import Finding
from pipeline.models.layers import OutputLayer
from pipeline.tasks.label_encoding import LabelEncoding
from pipeline.training.loss_config import loss_name

if TYPE_CHECKING:
    from pipeline.training.training_config import TrainingConfig

_BINARY = ("binary_cross_entropy", "binary_focal_cross_entropy")  # with one sigmoid unit


def problems(training: TrainingConfig, classes: int | None) -> Iterator[Finding]:
    name, top_k = loss_name(training.loss), training.top_k
    if classes and top_k and top_k >= classes:
        message = f"expected less than the number of classes, {classes}. Received {top_k}."
        yield ("training", "top_k"), message
    if classes and name in _BINARY and classes != 2:
        yield ("training", "loss"), f"{name} needs two classes. The data has {classes}."
    if name in _BINARY and top_k:
        yield ("training", "top_k"), f"cannot be used with {name}. Remove this key."


def output_layer(classes: int, loss: Any) -> OutputLayer:
    """Return a softmax over the classes or, for a binary loss, the probability of the second."""
    is_binary = loss_name(loss) in _BINARY
    return OutputLayer(1, "sigmoid") if is_binary else OutputLayer(classes, "softmax")


def label_encoding(classes: int, output: OutputLayer) -> LabelEncoding:
    """Return one-hot encoding or, for one sigmoid unit, the share of the second class."""
    import tensorflow as tf

    return LabelEncoding(
        width=classes,
        dense=lambda labels: tf.one_hot(labels, classes) if labels.shape.rank == 1 else labels,
        targets=lambda dense: dense[:, -output.units :],
    )


def running_metrics(classes: int, output: OutputLayer, *, top_k: int | None) -> list[Any]:
    from pipeline.training import losses

    return losses.running_metrics(output.activation, classes=classes, top_k=top_k)
