"""Regularization whose strengths are variables: a compiled model can be trained with others.

Compiling a small model takes longer than training it. With the same strengths, the results are
those of Keras's own layers to the bit.
"""

from __future__ import annotations

from typing import Any

import keras
from pydantic import PrivateAttr

from pipeline.models.regularization import RegularizationConfig


class AdjustableDropout(keras.Layer):
    """Dropout whose rate is a variable."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self._seeds = keras.random.SeedGenerator()
        self._rate = self._constant("rate", rate)
        self._scale = self._constant("scale", 1 / (1 - rate))

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Drop units in training, and scale the others up."""
        if not training:
            return inputs
        drawn = keras.random.uniform(keras.ops.shape(inputs), dtype=inputs.dtype, seed=self._seeds)
        rate, scale = (keras.ops.cast(each, inputs.dtype) for each in (self._rate, self._scale))
        return keras.ops.where(drawn >= rate, inputs * scale, keras.ops.zeros_like(inputs))

    def adjust(self, rate: float) -> None:
        """Set the rate."""
        self._rate.assign(rate)
        self._scale.assign(1 / (1 - rate))

    def _constant(self, name: str, value: float) -> Any:
        return self.add_weight(
            name=name,
            initializer=keras.initializers.Constant(value),
            dtype="float32",
            trainable=False,
        )


class AdjustablePenalty(keras.Regularizer):
    """An L1 and L2 penalty whose strengths are variables, but for those that are 0."""

    def __init__(self, l1: float, l2: float) -> None:
        self._l1, self._l2 = (keras.Variable(v, dtype="float32", trainable=False) for v in (l1, l2))
        self._has_l1, self._has_l2 = bool(l1), bool(l2)

    def __call__(self, x: Any) -> Any:
        penalty = keras.ops.convert_to_tensor(0.0, dtype=x.dtype)
        if self._has_l1:
            penalty = penalty + self._l1 * keras.ops.sum(keras.ops.absolute(x))
        if self._has_l2:
            penalty = penalty + self._l2 * keras.ops.sum(keras.ops.square(x))
        return penalty

    def adjust(self, l1: float, l2: float) -> None:
        """Set the strengths. One that was 0 stays 0."""
        self._l1.assign(l1)
        self._l2.assign(l2)


class AdjustableRegularization(RegularizationConfig):
    """The section of a recipe, for a model that is trained again with other strengths."""

    _penalty: AdjustablePenalty | None = PrivateAttr(None)
    _dropout_layers: list[AdjustableDropout] = PrivateAttr(default_factory=list)

    def penalty(self) -> Any:
        """Return the penalty of all kernels, None without one."""
        if self._penalty is None and (self.l1 or self.l2):
            self._penalty = AdjustablePenalty(self.l1, self.l2)
        return self._penalty

    def dropout_layer(self) -> Any:
        """Return a new layer, whose rate is one of its weights."""
        self._dropout_layers.append(AdjustableDropout(self.dropout))
        return self._dropout_layers[-1]

    def adjust(self, regularization: RegularizationConfig) -> None:
        """Set the strengths to those of another section."""
        if self._penalty is not None:
            self._penalty.adjust(regularization.l1, regularization.l2)
        for layer in self._dropout_layers:
            layer.adjust(regularization.dropout)
