"""Short trainings that tell, before a long one, whether a model can learn as it is set up."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_RATES = (1e-6, 10.0)
_RANGE_STEPS = 100
_SMOOTHING = 0.9
_DIVERGED = 4.0  # times the lowest loss
# The loss falls fastest before it is lowest: a tenth of that rate is a usual choice.
_SUGGESTED = 0.1
_ABOUT = 0.05  # of the fall of the loss
_LEARNT = 0.1  # of the loss that chance gives


@dataclass(frozen=True)
class Sample:
    """Images with their targets, as the model that is trained takes them.

    Attributes:
        inputs: (n, …), pixels or features.
        targets: float32 (n, units).
    """

    inputs: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.targets)

    def at(self, indices: np.ndarray) -> Sample:
        """Return the images with some indices."""
        return Sample(self.inputs[indices], self.targets[indices])


@dataclass(frozen=True)
class RateRange:
    """The loss as the learning rate grows.

    Attributes:
        rates: of each step.
        losses: of the batch of each step, smoothed.
        suggestion: a learning rate to try; None where the loss never falls.
        highest: the lowest rate with which training diverges; None if no rate does.
        step_seconds: the median time of a step.
    """

    rates: Sequence[float]
    losses: Sequence[float]
    suggestion: float | None
    highest: float | None
    step_seconds: float


@dataclass(frozen=True)
class Overfit:
    """A training on a few images.

    Attributes:
        images: their number.
        losses: of all of them, before each step and after the last one.
        chance: the loss that chance gives.
    """

    images: int
    losses: Sequence[float]
    chance: float

    @property
    def is_learnt(self) -> bool:
        """Whether the loss fell below a tenth of what chance gives."""
        return self.losses[-1] <= _LEARNT * self.chance


class Diagnosis:
    """Trains one model in several ways, each time from the same initial weights."""

    def __init__(
        self,
        model: keras.Model,
        loss: Any,
        optimizer: Callable[[], Any],
        chance: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        """Keep the initial weights.

        Args:
            model: maps inputs to outputs.
            loss: a Keras loss.
            optimizer: returns a new Keras optimizer with a constant learning rate.
            chance: maps targets to the outputs of a model that knows nothing, both (n, units).
        """
        self._model, self._loss, self._optimizer = model, loss, optimizer
        self._chance = chance
        self._initial = model.get_weights()

    def initial_loss(self, sample: Sample) -> float:
        """Return the loss of the initial weights."""
        self._model.set_weights(self._initial)
        return self._loss_of(sample)

    def chance_loss(self, sample: Sample) -> float:
        """Return the loss of a model that knows nothing."""
        return float(self._loss(sample.targets, self._chance(sample.targets)))

    def overfit(self, sample: Sample, *, steps: int, rate: float | None = None) -> Overfit:
        """Train on a few images until they are learnt.

        Args:
            sample: all of them are in each step.
            steps: the most steps.
            rate: the learning rate. Default: that of the optimizer.
        """
        optimizer = self._start()
        if rate is not None:
            optimizer.learning_rate = rate
        chance = self.chance_loss(sample)
        losses = [self._loss_of(sample)]
        for _ in range(steps):
            self._train(sample)
            losses.append(self._loss_of(sample))
            if not math.isfinite(losses[-1]) or Overfit(len(sample), losses, chance).is_learnt:
                break
        return Overfit(len(sample), losses, chance)

    def gradient_norms(self, sample: Sample, *, steps: int) -> dict[str, float]:
        """Return the norm of the gradient of each layer's weights, first layer first.

        Args:
            sample: all of its images are in each step.
            steps: of training before. An output layer of zeros passes no gradient back at first.
        """
        self._start()
        for _ in range(steps):
            self._train(sample)
        layers = {
            layer.name: layer.trainable_variables
            for layer in self._model.layers
            if layer.trainable_variables
        }
        with tf.GradientTape() as tape:
            outputs = self._model(sample.inputs, training=True)
            loss = self._loss(sample.targets, outputs)
        gradients = tape.gradient(
            loss, {name: [v.value for v in values] for name, values in layers.items()}
        )
        return {
            name: float(tf.linalg.global_norm([g for g in found if g is not None]))
            for name, found in gradients.items()
        }

    def rate_range(self, sample: Sample, *, batch_size: int, seed: int) -> RateRange:
        """Train while the learning rate grows from step to step, until training diverges.

        A learning rate range test (Smith, 2017).

        Args:
            sample: whose images are drawn into batches.
            batch_size: images in a step.
            seed: of the draws.
        """
        optimizer = self._start()
        generator = np.random.default_rng(seed)
        rates, losses, seconds = [], [], []
        mean = 0.0
        for step, rate in enumerate(np.geomspace(*_RATES, _RANGE_STEPS)):
            optimizer.learning_rate = float(rate)
            batch = sample.at(generator.permutation(len(sample))[:batch_size])
            started = time.perf_counter()
            loss = self._train(batch)
            seconds.append(time.perf_counter() - started)
            if not math.isfinite(loss):
                break
            mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
            rates.append(float(rate))
            losses.append(mean / (1 - _SMOOTHING ** (step + 1)))  # as Adam corrects its means
            if losses[-1] > _DIVERGED * min(losses):
                break
        has_diverged = len(rates) < _RANGE_STEPS
        return RateRange(
            rates=tuple(rates),
            losses=tuple(losses),
            suggestion=_suggested_rate(rates, losses),
            highest=rates[-1] if has_diverged and rates else None,
            step_seconds=statistics.median(seconds[1:] or seconds),
        )

    def _start(self) -> Any:
        """Set the initial weights, compile the model with a new optimizer, and return that."""
        self._model.set_weights(self._initial)
        optimizer = self._optimizer()
        self._model.compile(optimizer, self._loss, jit_compile=False)
        return optimizer

    def _train(self, batch: Sample) -> float:
        """Train one step, and return the loss of the batch before it."""
        self._model.reset_metrics()  # else the loss is the mean over all steps so far
        return float(self._model.train_on_batch(batch.inputs, batch.targets))

    def _loss_of(self, sample: Sample) -> float:
        outputs = np.asarray(self._model.predict_on_batch(sample.inputs), np.float32)
        return float(self._loss(sample.targets, outputs))


def _suggested_rate(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """Return a tenth of the first rate whose loss is about the lowest; None if the loss never fell.

    Not of the one with the lowest: with outputs that saturate, the loss may stay low at any rate.
    """
    fall = losses[0] - min(losses) if losses else 0.0
    if fall <= 0:
        return None
    enough = min(losses) + _ABOUT * fall
    first = next(index for index, loss in enumerate(losses) if loss <= enough)
    return _SUGGESTED * rates[first]
