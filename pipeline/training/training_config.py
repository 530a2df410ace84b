"""The sections `training` and `runtime` of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config import (
    Config,
    NonEmptyString,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    expecting,
)

Loss = Literal["cross_entropy", "binary_cross_entropy"]
Monitor = Literal["val_loss", "val_accuracy"]
DtypePolicy = Literal["float32", "mixed_bfloat16", "mixed_float16"]
TopK = Annotated[int, Field(ge=2, strict=True), expecting("a whole number, 2 or more")]
DeviceName = Annotated[
    str, Field(pattern=r"^(cpu|gpu):\d{1,3}$"), expecting("a device such as gpu:0 or cpu:1")
]


class EarlyStoppingConfig(Config):
    """When to stop, and which epoch was the best."""

    monitor: Monitor = Field("val_loss", description="What the best epoch is best at.")
    patience: PositiveInt | None = Field(
        5, description="Epochs without improvement before the end; null never stops early."
    )
    min_delta: NonNegativeFloat = Field(0.0, description="The least that counts as improvement.")


class FineTuneConfig(Config):
    """A second phase in which the end of the base learns too, slowly."""

    start: PositiveInt | NonEmptyString = Field(
        alias="from",
        description="First layer to learn, by name or by how the name begins; or how many.",
    )
    epochs: PositiveInt = Field(5, description="Epochs of this phase.")
    learning_rate: PositiveFloat = Field(1e-5, description="Of a fresh optimizer, constant.")


class TrainingConfig(Config):
    """How long the model trains, towards what, and what is measured on the way."""

    epochs: PositiveInt = Field(10, description="The most passes over the training images.")
    loss: Loss = Field(
        "cross_entropy",
        description="Over softmax; binary_cross_entropy for two classes over one sigmoid unit.",
    )
    top_k: TopK | None = Field(
        None, description="Also count a prediction as right when the class is among the first k."
    )
    views: PositiveInt = Field(
        10, description="Variations of each training image that a frozen base looks at, once."
    )
    early_stopping: EarlyStoppingConfig | None = Field(
        None, description="Absent, every epoch is trained and the best by val_loss is kept."
    )
    fine_tune: FineTuneConfig | None = Field(
        None, description="A second phase, for transfer alone."
    )

    @property
    def monitor(self) -> Monitor:
        """What the best epoch is best at."""
        return self.early_stopping.monitor if self.early_stopping else "val_loss"


class RuntimeConfig(Config):
    """What the model trains on."""

    devices: Annotated[
        Literal["auto", "cpu"] | Annotated[tuple[DeviceName, ...], Field(min_length=1)],
        expecting("auto, cpu, or a list of devices such as [gpu:0, gpu:1]"),
    ] = Field(
        "auto", description="auto is every GPU, or the CPU; several divide each batch among them."
    )
    cache_gb: NonNegativeFloat = Field(
        20.0, description="What kept features may take on the disk, in GiB; the oldest go first."
    )
    precision: Literal["auto"] | DtypePolicy = Field(
        "auto", description="auto is mixed precision on GPUs that are made for it, else float32."
    )
