"""What holds a model back from learning its training images by heart."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from pipeline.config import Bool, Config, Fraction, NonNegativeFloat

Initializer = Literal[
    "auto",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "truncated_normal",
    "zeros",
]
_RECTIFIERS = ("relu", "leaky_relu", "elu", "gelu", "silu")


class RegularizationConfig(Config):
    """What the layers with weights are held back by, and how their weights start."""

    dropout: Fraction = Field(0.0, description="Share of the hidden units left out in a step.")
    l1: NonNegativeFloat = Field(0.0, description="Penalty on the weights' absolute values.")
    l2: NonNegativeFloat = Field(0.0, description="Penalty on the weights' squares.")
    batch_norm: Bool = Field(False, description="Batch normalization before each activation.")
    label_smoothing: Fraction = Field(0.0, description="Share of a label given to all classes.")
    initializer: Initializer = Field(
        "auto", description="How weights start; auto is He for rectifiers, Glorot otherwise."
    )

    def kernel_arguments(self, activation: str) -> dict[str, Any]:
        """Return the arguments of a Dense or Conv2D layer that is followed by `activation`.

        He: He et al., 2015. Glorot: Glorot and Bengio, 2010.
        """
        import keras

        initializer = self.initializer
        if initializer == "auto":
            initializer = "he_normal" if activation in _RECTIFIERS else "glorot_uniform"
        penalty = keras.regularizers.L1L2(self.l1, self.l2) if self.l1 or self.l2 else None
        return {"kernel_initializer": initializer, "kernel_regularizer": penalty}
