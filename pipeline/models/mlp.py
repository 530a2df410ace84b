"""A multilayer perceptron."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from pipeline.config import Activation, Bool, Finding, PositiveInt
from pipeline.models.architecture_config import ArchitectureConfig
from pipeline.models.layer_weights import LayerWeights, assign_weights, weight_problems
from pipeline.models.layers import OutputLayer, dense_stack
from pipeline.models.regularization import RegularizationConfig
from pipeline.models.standardization import Standardize

if TYPE_CHECKING:
    import keras


class MLPConfig(ArchitectureConfig):
    """A multilayer perceptron: dense layers on the flattened pixels, or on other numbers."""

    takes_numbers: ClassVar[bool] = True

    architecture: Literal["mlp"]
    hidden: tuple[PositiveInt, ...] = Field((128,), description="Units of each hidden layer.")
    activation: Activation = Field("relu", description="Activation of the hidden layers.")
    standardize: Bool = Field(
        True,
        description="Give each input mean 0 and variance 1, and a number that is predicted, too; "
        "false: take them as they are.",
    )
    initial_weights: tuple[LayerWeights, ...] | None = Field(
        None,
        description="Weights of each hidden layer and of the output layer before training. "
        "Default: random.",
    )

    @property
    def has_hidden_layers(self) -> bool:
        return bool(self.hidden)

    def output_layer(self, of_task: OutputLayer) -> OutputLayer:
        """Return the output layer; it has no unit of its own where inputs are as they are."""
        return of_task if self.standardize else replace(of_task, scale=1.0, offset=0.0)

    def problems(self) -> Iterator[Finding]:
        if self.initial_weights is not None:
            for path, message in weight_problems(self.initial_weights, self.hidden):
                yield ("initial_weights", *path), message

    def initialize(self, model: keras.Model) -> None:
        if self.initial_weights is not None:
            assign_weights(model, self.initial_weights)

    def apply(
        self, inputs: Any, standardize: Standardize, regularization: RegularizationConfig
    ) -> Any:
        import keras

        x = keras.layers.Flatten()(standardize(inputs) if self.standardize else inputs)
        return dense_stack(x, self.hidden, self.activation, regularization)
