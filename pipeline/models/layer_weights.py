"""Weights that a recipe gives for the start of a training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from pipeline.config import Config, Finding, FiniteFloat
from pipeline.errors import ModelError

if TYPE_CHECKING:
    import keras

Row = Annotated[tuple[FiniteFloat, ...], Field(min_length=1)]


class LayerWeights(Config):
    """The weights of a dense layer."""

    kernel: Annotated[tuple[Row, ...], Field(min_length=1)] = Field(
        description="A row for each input, with the weight for each unit."
    )
    bias: Row = Field(description="Of each unit.")

    @property
    def shape(self) -> tuple[int, int]:
        """Inputs and units."""
        return len(self.kernel), len(self.bias)

    def row_problem(self) -> str:
        """Return why the rows do not belong together, or an empty string."""
        for number, row in enumerate(self.kernel):
            if len(row) != len(self.bias):
                return (
                    f"expected {len(self.bias)} weights in each row of the kernel, as many as "
                    f"numbers in bias. Received {len(row)} in row {number}."
                )
        return ""


def weight_problems(layers: Sequence[LayerWeights], units: Sequence[int]) -> Iterator[Finding]:
    """Yield layers whose weights do not fit, with the path of their index.

    Args:
        layers: of a stack of dense layers, the output layer last.
        units: of each layer but the output layer.
    """
    if len(layers) != len(units) + 1:
        yield (
            (),
            f"expected the weights of {len(units) + 1} layers: {len(units)} hidden and the output "
            f"layer. Received {len(layers)}.",
        )
        return
    for number, layer in enumerate(layers):
        problem = layer.row_problem()
        if problem:
            yield (number,), problem
            return
    for number, (layer, expected) in enumerate(zip(layers, units, strict=False)):
        if len(layer.bias) != expected:
            message = f"expected {expected} units, as in model.hidden. Received {len(layer.bias)}."
            yield (number,), message
            return
    for number, (before, layer) in enumerate(pairwise(layers), start=1):
        if len(before.bias) != len(layer.kernel):
            yield (
                (number, "kernel"),
                f"expected {len(before.bias)} rows, one for each unit of the layer before. "
                f"Received {len(layer.kernel)}.",
            )


def assign_weights(model: keras.Model, layers: Sequence[LayerWeights]) -> None:
    """Set the weights of the dense layers of a model.

    Raises:
        ModelError: if they do not fit.
    """
    import keras
    import numpy as np

    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    for number, (layer, given) in enumerate(zip(dense, layers, strict=True)):
        expected: tuple[int, ...] = tuple(layer.kernel.shape)
        if expected != given.shape:
            raise ModelError(
                f"model.initial_weights.{number}: expected weights of {_shape(expected)}. Received "
                f"{_shape(given.shape)}."
            )
        weights: list[Any] = [np.array(given.kernel, np.float32)]
        if layer.use_bias:
            weights.append(np.array(given.bias, np.float32))
        layer.set_weights(weights)


def _shape(shape: Sequence[int]) -> str:
    return f"{shape[0]} inputs and {shape[1]} units"
