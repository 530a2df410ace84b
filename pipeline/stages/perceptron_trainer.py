"""The trainer of a perceptron, which learns from its mistakes alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from pipeline.evaluation.linear_separability import is_linearly_separable
from pipeline.stages.trainer import PixelTrainer
from pipeline.training.losses import Mistakes
from pipeline.training.optimizers import plain_sgd
from pipeline.training.phases import History, Phase


class PerceptronTrainer(PixelTrainer):
    """Trains by the perceptron rule (Rosenblatt, 1958), until an epoch has no mistake.

    With targets t and outputs s of 0 and 1, gradient descent on the sum of |t - s| adds (t - s) x
    to the weights, because the step of the model has the gradient 1.
    """

    def phases(self) -> Iterator[Phase]:
        yield Phase(
            self.model,
            self._pixels(),
            self._recipe.training.epochs,
            plain_sgd(1.0),
            loss=keras.losses.MeanAbsoluteError(reduction="sum"),
            stop_at_zero=Mistakes.NAME,
        )

    def running_metrics(self) -> list[Any]:
        return [Mistakes()]

    def conclusion(self, history: History) -> tuple[str, bool]:
        epoch, mistakes = len(history.rows), int(history.rows[-1][Mistakes.NAME])
        if not mistakes:
            return f"The perceptron made no mistake in epoch {epoch}, so it has converged.", True
        train = self._splits.train
        examples = train.images.read(np.arange(len(train)))
        start = f"The perceptron did not converge: it made {mistakes:,} mistakes in epoch {epoch}."
        points = examples.reshape(len(train), -1)
        boundary = "line" if points.shape[1] == 2 else "plane"
        separable = is_linearly_separable(points, train.labels == 1)
        if separable is None:
            return start, False
        if separable:
            return f"{start} A {boundary} divides the classes, so set more training.epochs.", False
        return (
            f"{start} It never will: no {boundary} divides the classes of the training examples. "
            "Choose model.architecture: mlp with a hidden layer.",
            False,
        )
