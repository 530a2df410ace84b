"""The grammar of a recipe: its sections, put together from what each room declares."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, Strict

from pipeline.config import Bool, Config, NonEmptyString, Seed, TaggedUnion, expecting
from pipeline.data.source_config import SourceConfig
from pipeline.data.sources import SOURCES
from pipeline.models.architecture_config import ArchitectureConfig
from pipeline.models.architectures import ARCHITECTURES
from pipeline.models.regularization import RegularizationConfig
from pipeline.training import optimizers
from pipeline.training.training_config import RuntimeConfig, TrainingConfig
from pipeline.tuning.tuning_config import TuningConfig

SCHEMA_FILE = "recipe.schema.json"

_DATA = TaggedUnion({name: source.CONFIG for name, source in SOURCES.items()}, key="source")
_MODEL = TaggedUnion(
    {name: architecture.CONFIG for name, architecture in ARCHITECTURES.items()}, key="architecture"
)


ModelName = Annotated[
    str, Strict(), Field(pattern=r"^[^/:@]+$"), expecting("a name without /, : and @")
]


class TrackingConfig(Config):
    """Where the run is logged."""

    experiment: NonEmptyString | None = Field(
        None, description="MLflow experiment; absent, the name."
    )
    uri: NonEmptyString | None = Field(
        None, description="MLflow tracking server; absent, MLFLOW_TRACKING_URI or mlruns/mlflow.db."
    )
    verify_model: Bool = Field(
        True, description="Load the logged model in a fresh process and compare its answers."
    )
    register_as: ModelName | None = Field(
        None, alias="register", description="Register the model as the next version of this name."
    )
    promote: Literal["better"] | None = Field(
        None,
        description="better: the alias `champion` moves to the new version if it is better than "
        "the champion on the same images, as far as the 95 % interval of the difference can tell.",
    )


class Recipe(Config):
    """Everything about an image classifier: data, model, regularization, optimizer, training."""

    name: NonEmptyString = Field("", validate_default=False, description="Absent, the file's name.")
    description: str = Field("", description="What it is for.")
    seed: Seed = Field(42, description="The same seed gives the same run.")
    data: Annotated[SourceConfig, _DATA] = Field(description="Where the images come from.")
    model: Annotated[ArchitectureConfig, _MODEL] = Field(description="What looks at them.")
    regularization: RegularizationConfig = Field(
        RegularizationConfig(), description="What keeps it from learning by heart."
    )
    optimizer: optimizers.AnyOptimizer = Field(
        default_factory=optimizers.default_optimizer, description="How its weights change."
    )
    training: TrainingConfig = Field(
        TrainingConfig(), description="For how long, and towards what."
    )
    tuning: TuningConfig | None = Field(None, description="What `pipeline tune` searches.")
    tracking: TrackingConfig = Field(TrackingConfig(), description="Where the run is logged.")
    runtime: RuntimeConfig = Field(RuntimeConfig(), description="What it trains on.")

    @property
    def output(self) -> Any:
        """The output layer that the loss needs."""
        return "sigmoid" if self.training.loss == "binary_cross_entropy" else "softmax"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a recipe, for completion in editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Recipe.model_json_schema(by_alias=True),
    }
