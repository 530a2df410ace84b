"""The perceptron (Rosenblatt, 1958)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from pipeline.config import Finding
from pipeline.models.architecture_config import ArchitectureConfig
from pipeline.models.layer_weights import LayerWeights, assign_weights
from pipeline.models.layers import OutputLayer
from pipeline.models.regularization import RegularizationConfig
from pipeline.models.standardization import Standardize

if TYPE_CHECKING:
    import keras


class PerceptronConfig(ArchitectureConfig):
    """One unit with a step: 1 where the weighted sum of the inputs is above 0, else 0.

    It learns by the perceptron rule, without a gradient: after a mistake, an input of the second
    class is added to the weights, and one of the first class is subtracted.
    """

    takes_numbers: ClassVar[bool] = True
    learns_by_gradient: ClassVar[bool] = False

    architecture: Literal["perceptron"]
    initial_weights: LayerWeights | None = Field(
        None, description="Weights before training. Default: zeros."
    )

    @property
    def has_hidden_layers(self) -> bool:
        return False

    def output_layer(self, of_task: OutputLayer) -> OutputLayer:
        return OutputLayer(1, "step")

    def problems(self) -> Iterator[Finding]:
        if self.initial_weights is None:
            return
        problem = self.initial_weights.row_problem()
        if not problem and len(self.initial_weights.bias) != 1:
            problem = f"expected one unit. Received {len(self.initial_weights.bias)}."
        if problem:
            yield ("initial_weights",), problem

    def label_problem(self, label_kind: str, classes: int | None) -> str:
        if label_kind != "class":
            return "perceptron needs data.task: classification."
        if classes not in (None, 2):
            return f"perceptron needs two classes. The data has {classes}."
        return ""

    def initialize(self, model: keras.Model) -> None:
        zeros = LayerWeights(kernel=((0.0,),) * math.prod(model.input_shape[1:]), bias=(0.0,))
        assign_weights(model, [self.initial_weights or zeros])

    def apply(
        self, inputs: Any, standardize: Standardize, regularization: RegularizationConfig
    ) -> Any:
        import keras

        return keras.layers.Flatten(dtype="float32")(inputs)
