"""Regularization and weight initialization."""

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
    """Regularization, and the initial weights of the layers."""

    dropout: Fraction = Field(0.0, description="Fraction of the hidden units dropped in each step.")
    l1: NonNegativeFloat = Field(0.0, description="L1 penalty of the weights.")
    l2: NonNegativeFloat = Field(0.0, description="L2 penalty of the weights.")
    batch_norm: Bool = Field(False, description="Batch normalization before each activation.")
    label_smoothing: Fraction = Field(0.0, description="Fraction of a label for all classes.")
    initializer: Initializer = Field(
        "auto",
        description="Initial weights. auto: He for rectifiers such as relu, else Glorot. zeros: of "
        "the output layer alone, the others as with auto.",
    )

    def kernel_arguments(self, activation: str, *, is_output: bool = False) -> dict[str, Any]:
        """Return the kernel arguments of a Dense or Conv2D layer with this activation.

        Hidden layers of zeros would never learn: their gradients are 0.

        He: He et al., 2015. Glorot: Glorot and Bengio, 2010.
        """
        initializer = self.initializer
        if initializer == "auto" or (initializer == "zeros" and not is_output):
            initializer = "he_normal" if activation in _RECTIFIERS else "glorot_uniform"
        return {"kernel_initializer": initializer, "kernel_regularizer": self.penalty()}

    def penalty(self) -> Any:
        """Return the Keras regularizer of kernels, None without one."""
        import keras

        return keras.regularizers.L1L2(self.l1, self.l2) if self.l1 or self.l2 else None

    def dropout_layer(self) -> Any:
        """Return a new Keras layer with the rate of the recipe, which is above 0."""
        import keras

        return keras.layers.Dropout(self.dropout)
