"""The sections `training` and `runtime` of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from pipeline.config import (
    Bool,
    ClusterAddress,
    Config,
    Duration,
    Expected,
    MetricName,
    NonEmptyString,
    NonNegativeFloat,
    PositiveFloat32,
    PositiveFraction,
    PositiveInt,
    SeveralInt,
    StorageAddress,
    duration_seconds,
)
from pipeline.training.class_weights import ClassWeight
from pipeline.training.loss_config import Loss
from pipeline.training.optimizers import AnyOptimizer, OptimizerConfig
from pipeline.training.schedules import Schedule

# One fold judges and another one chooses the epoch.
FoldCount = Annotated[int, Strict(), Field(ge=3), Expected("an integer, 3 or more")]
DtypePolicy = Literal["float32", "mixed_bfloat16", "mixed_float16"]
DeviceName = Annotated[
    str, Field(pattern=r"^(cpu|gpu):\d{1,3}$"), Expected("a device such as gpu:0 or cpu:1")
]


class EarlyStoppingConfig(Config):
    """Early stopping, and the choice of the best epoch."""

    monitor: MetricName = Field(
        "val_log_loss",
        description="Metric that the best epoch is chosen by; of equal ones, by val_log_loss. "
        "For numbers, the default and what decides between equal ones is val_mse.",
    )
    patience: PositiveInt | None = Field(
        5, description="Epochs without improvement before training stops; null: never."
    )
    min_delta: NonNegativeFloat = Field(
        0.0, description="Minimum change that counts as an improvement."
    )


class FineTuneConfig(Config):
    """Fine-tuning: a second phase that also trains the last layers of the base."""

    start: PositiveInt | NonEmptyString = Field(
        alias="from",
        description="First layer to train: its name, a prefix of it, or the number of layers.",
    )
    epochs: PositiveInt = Field(5, description="Number of epochs.")
    learning_rate: PositiveFloat32 = Field(
        1e-5, description="Learning rate of the optimizer of the first phase."
    )
    schedule: Schedule | None = Field(
        None, description="Learning rate schedule of the optimizer of the first phase."
    )
    optimizer: AnyOptimizer | None = Field(
        None,
        description="Another optimizer than in the first phase, with its own learning_rate and "
        "schedule.",
    )
    layer_decay: PositiveFraction = Field(
        1.0,
        description="Factor of the learning rate from each layer of the base to the one before it, "
        "such as 0.9; the last one has it once. 1: all layers learn at the same rate (Howard and "
        "Ruder, 2018; Clark et al., 2020).",
    )
    train_batch_norm: Bool = Field(
        False,
        description="Also train the batch normalization of the base from that layer on. false: it "
        "keeps its weights and its statistics.",
    )

    def optimizer_after(self, first: OptimizerConfig) -> OptimizerConfig:
        """Return the optimizer of fine-tuning, given that of the first phase."""
        if self.optimizer:
            return self.optimizer
        changes = {"learning_rate": self.learning_rate, "schedule": self.schedule}
        return first.model_copy(update=changes)


class TrainingConfig(Config):
    """Epochs, loss, metrics, early stopping and fine-tuning."""

    epochs: PositiveInt = Field(10, description="Maximum number of epochs.")
    budget: Duration | None = Field(
        None,
        description="Time that training may take, such as 10m. Where it is too short for all "
        "epochs, the learning rate schedule is shortened to end with it. Fine-tuning has at least "
        "half of it.",
    )
    loss: Loss = Field(
        "cross_entropy",
        description="cross_entropy and focal_cross_entropy with softmax, or the binary ones with "
        "one sigmoid unit. For data.task: multi_label, one sigmoid unit for each class: "
        "binary_cross_entropy, the default there, binary_focal_cross_entropy or "
        "asymmetric_cross_entropy.",
    )
    class_weight: ClassWeight = Field(
        "none",
        description="Weights of the classes in the training loss. balanced: inverse to the number "
        "of training images; a mapping: relative to 1, the weight of the classes not in it. Their "
        "mean over the training images is scaled to 1.",
    )
    record: tuple[Literal["gradients", "units", "filters", "surface", "dropout"], ...] = Field(
        (),
        description="Further figures of the report. gradients: the norm of the gradient of each "
        "layer by epoch; units: the share of the rectified units of each layer that are dead; "
        "filters: the first filters of a convolutional network and what it makes of an image; "
        "surface: the loss over the two parameters of a model, and their path; dropout: networks "
        "without some of their units, and the one with all of them.",
    )
    compare_optimizers: tuple[AnyOptimizer, ...] = Field(
        (),
        description="Optimizers to draw on the loss surface beside the one of the recipe: each "
        "trains the same model from the same start. Needs record: [surface].",
    )
    top_k: SeveralInt | None = Field(None, description="Also report top-k accuracy, for this k.")
    views: PositiveInt = Field(
        10, description="Augmented versions of each training image that are cached for transfer."
    )
    early_stopping: EarlyStoppingConfig | None = Field(
        None,
        description="Default: train all epochs and keep the one with the best val_log_loss "
        "or, for numbers, val_mse.",
    )
    folds: FoldCount | None = Field(
        None,
        description="Cross-validation: the training and validation images are divided into so many "
        "folds, and models of the recipe are trained on them and judged. `pipeline tune` compares "
        "trials by them.",
    )
    fold_repeats: PositiveInt = Field(1, description="How often the images are divided into folds.")
    fine_tune: FineTuneConfig | None = Field(
        None, description="Second phase of training, for models with a frozen base."
    )

    @property
    def recorded_layers(self) -> tuple[str, ...]:
        """What is measured of each layer in every epoch."""
        return tuple(name for name in self.record if name in ("gradients", "units"))

    @property
    def budget_seconds(self) -> float | None:
        """The budget in seconds."""
        return duration_seconds(self.budget) if self.budget else None


class RuntimeConfig(Config):
    """Devices, machines, precision and disk space."""

    devices: Annotated[
        Literal["auto", "cpu"] | Annotated[tuple[DeviceName, ...], Field(min_length=1)],
        Expected("auto, cpu, or a list of devices such as [gpu:0, gpu:1]"),
    ] = Field("auto", description="auto: all GPUs, or the CPU. Several devices share each batch.")
    batch_size: Literal["auto"] | None = Field(
        None,
        description="auto: on GPUs, the largest power of two that fits in their memory, with the "
        "same learning rate; elsewhere data.batch_size. null: data.batch_size.",
    )
    cache_gb: NonNegativeFloat = Field(
        20.0, description="Size limit of the feature cache in GiB; the oldest features go first."
    )
    engine: Literal["auto", "tensorflow", "openvino"] = Field(
        "auto",
        description="What computes a frozen base on the CPU. auto: the fastest in a race whose "
        "features are as good; the result is kept.",
    )
    precision: Literal["auto", "int8"] | DtypePolicy = Field(
        "auto",
        description="auto: mixed precision on GPUs that support it, else float32, and for a frozen "
        "base the fastest that is as good. int8: for a frozen base on the CPU, by OpenVINO.",
    )
    cluster: ClusterAddress = Field(
        "local",
        description="The machines that compute features, trials and seeds. local: this one. auto: "
        "those of the Ray cluster that this machine belongs to. ray://HOST:PORT: those of another.",
    )
    storage: StorageAddress | None = Field(
        None,
        description="Where the machines of a cluster leave the features that they compute: a "
        "directory that all of them see, or an address such as s3://BUCKET/FOLDER. null: the cache "
        "directory.",
    )
