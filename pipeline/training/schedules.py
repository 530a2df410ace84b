"""How the learning rate changes while a model trains. Times are in epochs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from pipeline.config import (
    Bool,
    Config,
    Fraction,
    NonNegativeFloat,
    OpenFraction,
    PositiveFloat,
    PositiveInt,
    Share,
    invalid_value,
    single_key_union,
)


class _WarmedUp(Config):
    warmup: NonNegativeFloat = Field(
        0.0, description="Epochs of rising from 0 to the learning rate."
    )


class ConstantSchedule(_WarmedUp):
    """The same rate throughout."""


class CosineSchedule(_WarmedUp):
    """Fall along half a cosine (Loshchilov and Hutter, 2016)."""

    final: Share = Field(0.0, description="Share of the learning rate at the end.")


class ExponentialSchedule(_WarmedUp):
    """Multiply by `rate` every epoch."""

    rate: OpenFraction = 0.95
    staircase: Bool = Field(False, description="Change at the end of an epoch only.")


class PiecewiseSchedule(_WarmedUp):
    """Multiply by one factor after another."""

    boundaries: tuple[PositiveFloat, ...] = Field(description="Epochs at which the factor changes.")
    factors: tuple[PositiveFloat, ...] = Field(description="The factor from each boundary on.")

    @model_validator(mode="after")
    def _one_factor_a_boundary(self) -> PiecewiseSchedule:
        if len(self.boundaries) != len(self.factors) or list(self.boundaries) != sorted(
            set(self.boundaries)
        ):
            raise invalid_value("rising boundaries, and a factor for each")
        return self


class PlateauSchedule(Config):
    """Multiply by `factor` when `val_loss` has not improved for `patience` epochs."""

    factor: OpenFraction = 0.1
    patience: PositiveInt = 3
    min_delta: NonNegativeFloat = 1e-4
    floor: Fraction = Field(0.0, description="The rate that it stops at.")


SCHEDULES: dict[str, type[Config]] = {
    "constant": ConstantSchedule,
    "cosine": CosineSchedule,
    "exponential": ExponentialSchedule,
    "piecewise": PiecewiseSchedule,
    "plateau": PlateauSchedule,
}

Schedule = Annotated[Config, single_key_union(SCHEDULES)]


def learning_rate(
    schedule: Config | None, peak: float, *, steps_per_epoch: int, epochs: int
) -> Any:
    """Return what a Keras optimizer takes as its learning rate.

    Args:
        schedule: a section of this module; a plateau leaves the rate to `callbacks`.
        peak: the learning rate that factors refer to.
        steps_per_epoch: training steps in an epoch.
        epochs: the length of the training.
    """
    import keras

    if schedule is None or isinstance(schedule, PlateauSchedule):
        return peak
    schedules = keras.optimizers.schedules
    warmup = round(getattr(schedule, "warmup", 0.0) * steps_per_epoch)
    total = max(epochs * steps_per_epoch - warmup, 1)
    rate: Any = peak
    if isinstance(schedule, CosineSchedule):
        rate = schedules.CosineDecay(peak, total, alpha=schedule.final)
    elif isinstance(schedule, ExponentialSchedule):
        rate = schedules.ExponentialDecay(
            peak, steps_per_epoch, schedule.rate, staircase=schedule.staircase
        )
    elif isinstance(schedule, PiecewiseSchedule):
        # Counted from the end of the warmup; Keras changes after the step that it is given.
        steps = (round(boundary * steps_per_epoch) for boundary in schedule.boundaries)
        boundaries = [max(step - warmup - 1, -1) for step in steps]
        values = [peak, *(peak * factor for factor in schedule.factors)]
        rate = schedules.PiecewiseConstantDecay(boundaries, values)
    return _warmed_up(rate, peak, warmup) if warmup else rate


def callbacks(schedule: Config | None) -> list[Any]:
    """Return the Keras callbacks that a schedule needs."""
    import keras

    if not isinstance(schedule, PlateauSchedule):
        return []
    return [
        keras.callbacks.ReduceLROnPlateau(
            monitor="val_loss",
            factor=schedule.factor,
            patience=schedule.patience,
            min_delta=schedule.min_delta,
            min_lr=schedule.floor,
        )
    ]


def _warmed_up(rate: Any, peak: float, steps: int) -> Any:
    """Return the schedule that rises linearly to `peak` for `steps` and then follows `rate`."""
    import keras

    class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            step = keras.ops.cast(step, "float32")
            rising = peak * (step + 1) / (steps + 1)
            after = rate(step - steps) if callable(rate) else peak
            return keras.ops.where(step < steps, rising, after)

        def get_config(self) -> dict[str, Any]:
            return {"rate": rate, "peak": peak, "steps": steps}

    return WarmUp()
