"""The grammar of a recipe, combined from the sections that the packages declare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, Strict, model_validator

from pipeline.config import (
    Bool,
    Config,
    Expected,
    NonEmptyString,
    Seed,
    TaggedUnion,
)
from pipeline.data.source_config import SourceConfig
from pipeline.data.sources import SOURCES, VARIANTS
from pipeline.data.splits import Splits
from pipeline.models.architecture_config import ArchitectureConfig
from pipeline.models.architectures import ARCHITECTURES
from pipeline.models.layers import OutputLayer
from pipeline.models.regularization import RegularizationConfig
from pipeline.tasks.label_encoding import LabelEncoding
from pipeline.tasks.task import Task
from pipeline.tasks.tasks import TASKS
from pipeline.training import optimizers
from pipeline.training.training_config import RuntimeConfig, TrainingConfig
from pipeline.tuning.tuning_config import TuningConfig

SCHEMA_FILE = "recipe.schema.json"

_DATA = TaggedUnion(SOURCES, key="source", variants=VARIANTS)
_MODEL = TaggedUnion(ARCHITECTURES, key="architecture")

ModelName = Annotated[
    str, Strict(), Field(pattern=r"^[^/:@]+$"), Expected("a name without /, : and @")
]


class TrackingConfig(Config):
    """Where and how the run is logged with MLflow."""

    experiment: NonEmptyString | None = Field(
        None, description="MLflow experiment. Default: the name of the recipe."
    )
    uri: NonEmptyString | None = Field(
        None, description="MLflow tracking URI. Default: MLFLOW_TRACKING_URI or mlruns/mlflow.db."
    )
    verify_model: Bool = Field(
        True, description="Load the logged model in a new process and compare its predictions."
    )
    register_as: ModelName | None = Field(
        None, alias="register", description="Name to register the model under."
    )
    promote: Literal["better"] | None = Field(
        None,
        description="better: set the alias `champion` to the new version if it is better than the "
        "champion on images that neither was trained or chosen on, by McNemar's exact test "
        "or, where errors are numbers, a paired t-test, corrected for the number of comparisons.",
    )
    promote_on: Literal["test", "validation"] = Field(
        "test",
        description="Images that `promote` compares on. validation needs no test split, but these "
        "images chose the epoch: only those that chose the epoch of both models are compared.",
    )


class Recipe(Config):
    """A recipe: everything about the training of a model."""

    name: NonEmptyString = Field("", validate_default=False, description="Default: the file name.")
    description: str = Field("", description="Description of the run.")
    seed: Seed = Field(42, description="Seed of the run.")
    data: Annotated[SourceConfig, _DATA] = Field(description="Data.")
    model: Annotated[ArchitectureConfig, _MODEL] = Field(description="Model.")
    regularization: RegularizationConfig = Field(
        RegularizationConfig(), description="Regularization."
    )
    optimizer: optimizers.AnyOptimizer = Field(
        default_factory=optimizers.default_optimizer, description="Optimizer."
    )
    training: TrainingConfig = Field(TrainingConfig(), description="Training.")
    tuning: TuningConfig | None = Field(
        None, description="Hyperparameter search of `pipeline tune`."
    )
    tracking: TrackingConfig = Field(TrackingConfig(), description="Tracking with MLflow.")
    runtime: RuntimeConfig = Field(RuntimeConfig(), description="Hardware.")

    @model_validator(mode="before")
    @classmethod
    def _fill_defaults_of_task(cls, value: Any) -> Any:
        """Set the keys whose default depends on the task."""
        data = value.get("data") if isinstance(value, dict) else None
        name = data.get("task") if isinstance(data, dict) else None
        if not isinstance(name, str) or name not in TASKS:
            return value
        for (section, *path), default in TASKS[name].DEFAULTS.items():
            # A section that is optional stays absent.
            inner = value.get(section, {} if cls.model_fields[section].default else None)
            value = {**value, section: _with_default(inner, path, default)}
            if value[section] is None:
                del value[section]
        return value

    @property
    def task(self) -> Task:
        """What is predicted."""
        return TASKS[self.data.task]

    @property
    def loss_metric(self) -> str:
        """The metric that decides between equal epochs and trials, the lower the better."""
        return f"val_{self.task.LOSS_METRIC}"

    @property
    def monitor(self) -> str:
        """The metric that the best epoch is chosen by."""
        stopping = self.training.early_stopping
        return stopping.monitor if stopping else self.loss_metric

    def output_layer(self, splits: Splits) -> OutputLayer:
        """Return the output layer of the model for the labels of some data."""
        classes = len(splits.class_names)
        of_task = self.task.output_layer(
            classes, self.training.loss, splits.train.labels, splits.input_shape
        )
        return self.model.output_layer(of_task)

    def label_encoding(self, splits: Splits) -> LabelEncoding:
        """Return how labels become the targets of the output layer."""
        return self.task.label_encoding(len(splits.class_names), self.output_layer(splits))


def _with_default(section: Any, path: Sequence[str], default: Any) -> Any:
    """Return a section of a document with a default, unless it has a value or is no mapping."""
    if not isinstance(section, dict):
        return section
    key, *rest = path
    if rest:
        inner = _with_default(section.get(key), rest, default)
        return section if inner is None else {**section, key: inner}
    return section if key in section else {**section, key: default}


# The key of each section with alternatives that names one of them, such as `optimizer.name`.
CHOICE_KEYS = {
    section: item.key
    for section, field in Recipe.model_fields.items()
    for item in field.metadata
    if isinstance(item, TaggedUnion) and item.key
}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a recipe."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Recipe.model_json_schema(by_alias=True),
    }
