"""A multilayer perceptron."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from pipeline.config import Activation, PositiveInt
from pipeline.models.architecture_config import ArchitectureConfig
from pipeline.models.layers import dense_stack
from pipeline.models.regularization import RegularizationConfig
from pipeline.models.standardization import Standardize


class MLPConfig(ArchitectureConfig):
    """A multilayer perceptron: dense layers on the flattened pixels, or on other numbers."""

    takes_numbers: ClassVar[bool] = True

    architecture: Literal["mlp"]
    hidden: tuple[PositiveInt, ...] = Field((128,), description="Units of each hidden layer.")
    activation: Activation = Field("relu", description="Activation of the hidden layers.")

    @property
    def has_hidden_layers(self) -> bool:
        return bool(self.hidden)

    def apply(
        self, inputs: Any, standardize: Standardize, regularization: RegularizationConfig
    ) -> Any:
        import keras

        x = keras.layers.Flatten()(standardize(inputs))
        return dense_stack(x, self.hidden, self.activation, regularization)
