"""Learning rates that differ by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

# A Keras variable, and the factor of its learning rate.
LayerRates = Sequence[tuple[Any, float]]


def layerwise_optimizer(
    optimizer: type[keras.Optimizer], rates: LayerRates, is_decayed: Callable[[Any], bool]
) -> type[keras.Optimizer]:
    """Return a subclass of an optimizer that multiplies the learning rate of some variables.

    Their weight decay is multiplied too, as it is proportional to the learning rate (Clark et al.,
    2020).

    Args:
        optimizer: a class of Keras.
        rates: the variables whose factor is not 1.
        is_decayed: says whether weight decay applies to a variable.
    """

    class Layerwise(optimizer):
        def build(self, var_list: Sequence[keras.Variable]) -> None:
            if not self.built:  # Keras would decay them at the rate of the others
                self.exclude_from_weight_decay(var_list=[variable for variable, _ in rates])
            super().build(var_list)

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            """Update a variable, a tf.Variable."""
            factor, decay = by_variable.get(variable.ref(), (1.0, False))
            rate = keras.ops.cast(learning_rate, variable.dtype) * factor
            if decay and self.weight_decay:
                self.assign_sub(variable, variable * rate * self.weight_decay)
            super().update_step(gradient, variable, rate)

    by_variable = {
        variable.value.ref(): (factor, is_decayed(variable)) for variable, factor in rates
    }
    return Layerwise
