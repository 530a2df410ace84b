"""The section `tuning` of a recipe."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, Strict, model_validator

from pipeline.config import Bool, Config, PositiveFloat, PositiveInt, expecting, invalid_value
from pipeline.metric_direction import Direction, metric_direction

Tuner = Literal["random", "bayesian", "hyperband", "grid"]

MAX_VALUES = 64  # of a choice
MAX_PARAMETERS = 32

_OBJECTIVE = (
    r"^val_(accuracy|loss|log_loss|ece|roc_auc|top_[0-9]+_accuracy"
    r"|(precision|recall|f1)(_macro|_weighted|/.+))$"
)
_DURATION = re.compile(r"(?=.)(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?")

_Finite = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Number = Annotated[int, Strict()] | _Finite
Ends = Annotated[tuple[Number, Number], expecting("two numbers, [low, high]")]
LogEnds = Annotated[
    tuple[
        Annotated[int, Strict(), Field(gt=0)] | PositiveFloat,
        Annotated[int, Strict(), Field(gt=0)] | PositiveFloat,
    ],
    expecting("two numbers above 0, [low, high]"),
]
Objective = Annotated[
    str,
    Field(pattern=_OBJECTIVE),
    expecting("a metric of the validation images, such as val_accuracy, val_log_loss or val_loss"),
]
Duration = Annotated[
    str,
    Field(pattern=r"^(\d{1,6}h)?(\d{1,6}m)?(\d{1,6}s)?$", min_length=2),
    expecting("a time such as 90s, 10m or 1h30m"),
]


class ParameterConfig(Config):
    """What a search may put in the place of a value: one of `choice`, `range` or `log`."""

    choice: tuple[Any, ...] | None = Field(
        None, description="The values themselves; whole sections too."
    )
    range: Ends | None = Field(None, description="[low, high]; whole numbers if both are.")
    step: Annotated[Number, expecting("a number above 0")] | None = Field(
        None, description="The distance between values of a range."
    )
    log: LogEnds | None = Field(None, description="[low, high], each power of ten as likely.")
    when: dict[str, Any] | None = Field(
        None,
        description="Only where other parameters of the space have these values: a path with a "
        "value, or with a list of values.",
    )

    @model_validator(mode="after")
    def _is_possible(self) -> ParameterConfig:
        given = [key for key in ("choice", "range", "log") if getattr(self, key) is not None]
        if len(given) != 1:
            raise invalid_value("exactly one of choice, range and log")
        if self.choice is not None and not 1 <= len(self.choice) <= MAX_VALUES:
            raise invalid_value(f"from 1 to {MAX_VALUES} values in choice")
        ends = self.range or self.log
        if ends and not ends[0] < ends[1]:
            raise invalid_value(f"low below high in {given[0]}")
        if self.step is not None:
            if not self.range:
                raise invalid_value("a step only beside range")
            if not 0 < self.step <= self.range[1] - self.range[0]:
                raise invalid_value("a step above 0 that fits into range")
            if self.is_whole and not isinstance(self.step, int):
                raise invalid_value("a whole step between whole numbers")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers between two ends."""
        ends = self.range or self.log or (0.5,)
        return all(isinstance(end, int) for end in ends)


def _within_limits(space: dict[str, ParameterConfig]) -> dict[str, ParameterConfig]:
    if not 1 <= len(space) <= MAX_PARAMETERS:
        raise invalid_value(f"from 1 to {MAX_PARAMETERS} parameters")
    return space


class TuningConfig(Config):
    """Which values a search tries, how, and what for."""

    tuner: Tuner = Field(
        "bayesian",
        description="random; bayesian (a Gaussian process); hyperband (many short trials, the "
        "better ones trained for longer); grid (every combination).",
    )
    objective: Objective = Field(
        "val_accuracy", description="A final metric, or val_loss of the best epoch."
    )
    trials: PositiveInt = Field(20, description="The most trials, the recipe's own included.")
    budget: Duration | None = Field(
        None, description="Time after which no further trial begins, as 10m."
    )
    executions_per_trial: PositiveInt = Field(
        1, description="Trainings of each trial, from seeds one after another; the mean counts."
    )
    prune: Bool = Field(
        True,
        description="End trials that are behind the median of the others at the same epoch; "
        "hyperband has its own way.",
    )
    patience: PositiveInt | None = Field(
        None, description="Trials without a better one after which the search ends."
    )
    space: Annotated[dict[str, ParameterConfig], AfterValidator(_within_limits)] = Field(
        description="Dotted paths of the recipe, and what may stand there."
    )

    @property
    def direction(self) -> Direction:
        """Whether the objective is better when it is larger or when it is smaller."""
        return metric_direction(self.objective)

    @property
    def budget_seconds(self) -> float | None:
        """The budget in seconds."""
        found = _DURATION.fullmatch(self.budget) if self.budget else None
        if found is None:
            return None
        hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return float(3600 * hours + 60 * minutes + seconds)
