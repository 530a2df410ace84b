"""The grammar of a recipe: its sections, put together from what each room declares."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, Strict

from pipeline.data.keys import SourceKeys
from pipeline.data.sources import SOURCES
from pipeline.models.architectures import ARCHITECTURES
from pipeline.models.keys import ArchitectureKeys
from pipeline.models.regularization import Regularization
from pipeline.section import Choice, Flag, Section, Seed, Text, expecting
from pipeline.training import optimizers
from pipeline.training.keys import Runtime, Training
from pipeline.tuning.keys import Tuning

SCHEMA_FILE = "recipe.schema.json"

_DATA = Choice({name: source.Keys for name, source in SOURCES.items()}, key="source")
_MODEL = Choice(
    {name: architecture.Keys for name, architecture in ARCHITECTURES.items()}, key="architecture"
)


ModelName = Annotated[
    str, Strict(), Field(pattern=r"^[^/:@]+$"), expecting("a name without /, : and @")
]


class Tracking(Section):
    """Where the run is logged."""

    experiment: Text | None = Field(None, description="MLflow experiment; absent, the name.")
    uri: Text | None = Field(
        None, description="MLflow tracking server; absent, MLFLOW_TRACKING_URI or mlruns/mlflow.db."
    )
    verify_model: Flag = Field(
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


class Recipe(Section):
    """Everything about an image classifier: data, model, regularization, optimizer, training."""

    name: Text = Field("", validate_default=False, description="Absent, the file's name.")
    description: str = Field("", description="What it is for.")
    seed: Seed = Field(42, description="The same seed gives the same run.")
    data: Annotated[SourceKeys, _DATA] = Field(description="Where the images come from.")
    model: Annotated[ArchitectureKeys, _MODEL] = Field(description="What looks at them.")
    regularization: Regularization = Field(
        Regularization(), description="What keeps it from learning by heart."
    )
    optimizer: optimizers.AnyOptimizer = Field(
        default_factory=optimizers.default, description="How its weights change."
    )
    training: Training = Field(Training(), description="For how long, and towards what.")
    tuning: Tuning | None = Field(None, description="What `pipeline tune` searches.")
    tracking: Tracking = Field(Tracking(), description="Where the run is logged.")
    runtime: Runtime = Field(Runtime(), description="What it trains on.")

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
