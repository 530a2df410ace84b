"""The section `tuning` of a recipe."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, Strict, model_validator

from pipeline.config import (
    Bool,
    Config,
    Duration,
    Expected,
    MetricName,
    PositiveFloat,
    PositiveInt,
    duration_seconds,
    invalid_value,
)
from pipeline.metric_direction import Direction, metric_direction

Tuner = Literal["random", "bayesian", "hyperband", "grid"]

MAX_CHOICES = 64
MAX_PARAMETERS = 32

Number = Annotated[int, Strict()] | Annotated[float, Strict(), Field(allow_inf_nan=False)]
PositiveNumber = Annotated[int, Strict(), Field(gt=0)] | PositiveFloat
Ends = Annotated[tuple[Number, Number], Expected("two numbers, [low, high]")]
LogEnds = Annotated[
    tuple[PositiveNumber, PositiveNumber], Expected("two numbers above 0, [low, high]")
]


class ParameterConfig(Config):
    """The values of one hyperparameter: exactly one of `choice`, `range` and `log`."""

    choice: tuple[Any, ...] | None = Field(None, description="List of values or sections.")
    range: Ends | None = Field(None, description="[low, high], uniform; integers if both are.")
    step: Annotated[Number, Expected("a number above 0")] | None = Field(
        None, description="Step between the values of a range."
    )
    log: LogEnds | None = Field(None, description="[low, high], log-uniform; integers if both are.")
    when: dict[str, Any] | None = Field(
        None,
        description="Condition: only if other parameters have these values, given as paths with a "
        "value or a list of values.",
    )

    @model_validator(mode="after")
    def _check_values(self) -> ParameterConfig:
        used = [key for key in ("choice", "range", "log") if getattr(self, key) is not None]
        if len(used) != 1:
            raise invalid_value("exactly one of choice, range and log")
        if self.choice is not None and not 1 <= len(self.choice) <= MAX_CHOICES:
            raise invalid_value(f"from 1 to {MAX_CHOICES} values in choice")
        ends = self.range or self.log
        if ends and not ends[0] < ends[1]:
            raise invalid_value(f"low below high in {used[0]}")
        if self.step is not None:
            if not self.range:
                raise invalid_value("step only together with range")
            if not 0 < self.step <= self.range[1] - self.range[0]:
                raise invalid_value("a step above 0 that fits into range")
            if self.is_whole and not isinstance(self.step, int):
                raise invalid_value("an integer step in a range of integers")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether its values are integers of a range."""
        ends = self.range or self.log or (0.5,)
        return all(isinstance(end, int) for end in ends)


def _within_limits(space: dict[str, ParameterConfig]) -> dict[str, ParameterConfig]:
    if not 1 <= len(space) <= MAX_PARAMETERS:
        raise invalid_value(f"from 1 to {MAX_PARAMETERS} parameters")
    return space


class TuningConfig(Config):
    """A hyperparameter search."""

    tuner: Tuner = Field(
        "bayesian",
        description="random, bayesian (Gaussian process), hyperband (many short trials, the best "
        "ones train longer) or grid (all combinations).",
    )
    objective: MetricName = Field(
        "val_accuracy",
        description="Metric to optimize: on the validation split or, with training.folds, the mean "
        "over the folds, on images that chose no epoch. Default with data.task: multi_label: "
        "val_mean_average_precision.",
    )
    trials: PositiveInt = Field(
        20, description="Maximum number of trials, including the recipe itself."
    )
    budget: Duration | None = Field(
        None, description="Time after which no new trial starts, such as 10m."
    )
    executions_per_trial: PositiveInt = Field(
        1,
        description="Trainings per trial, or per fold, with consecutive seeds; the objective is "
        "their mean.",
    )
    prune: Bool = Field(
        True,
        description="Stop trials that are worse than the median of the others at the same epoch; "
        "not with hyperband or training.folds.",
    )
    patience: PositiveInt | None = Field(
        None, description="Trials without improvement before the search stops."
    )
    space: Annotated[dict[str, ParameterConfig], AfterValidator(_within_limits)] = Field(
        description="Hyperparameters: dotted paths of the recipe with their values."
    )

    @property
    def direction(self) -> Direction:
        """Whether to maximize or minimize the objective."""
        return metric_direction(self.objective)

    @property
    def budget_seconds(self) -> float | None:
        """The budget in seconds."""
        return duration_seconds(self.budget) if self.budget else None
