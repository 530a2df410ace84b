"""Learning rate schedules. Times are in epochs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from pipeline.config import (
    Bool,
    ClosedFraction,
    Config,
    Fraction,
    NonNegativeFloat,
    OpenFraction,
    PositiveFloat,
    PositiveInt,
    invalid_value,
    single_key_union,
)


class _WarmupSchedule(Config):
    warmup: NonNegativeFloat = Field(0.0, description="Epochs of a linear increase from 0.")


class ConstantSchedule(_WarmupSchedule):
    """A constant learning rate."""


class CosineSchedule(_WarmupSchedule):
    """Cosine decay (Loshchilov and Hutter, 2016)."""

    alpha: ClosedFraction = Field(0.0, description="Final fraction of the learning rate.")


class ExponentialSchedule(_WarmupSchedule):
    """Exponential decay: multiply by `decay_rate` every epoch."""

    decay_rate: OpenFraction = Field(0.95, description="Factor per epoch.")
    staircase: Bool = Field(False, description="Only change it at the end of an epoch.")


class PiecewiseSchedule(_WarmupSchedule):
    """Multiply the learning rate by one factor after another."""

    boundaries: tuple[PositiveFloat, ...] = Field(description="Epochs at which it changes.")
    factors: tuple[PositiveFloat, ...] = Field(description="Factor from each boundary on.")

    @model_validator(mode="after")
    def _check_lengths(self) -> PiecewiseSchedule:
        increasing = tuple(sorted(set(self.boundaries)))
        if self.boundaries != increasing or len(self.factors) != len(increasing):
            raise invalid_value("increasing boundaries and one factor for each")
        return self


class PlateauSchedule(Config):
    """Reduce the learning rate when the validation loss has stopped improving.

    It is measured by val_log_loss or, for numbers, val_mse.
    """

    factor: OpenFraction = Field(0.1, description="Factor of each reduction.")
    patience: PositiveInt = Field(3, description="Epochs without improvement before a reduction.")
    min_delta: NonNegativeFloat = Field(1e-4, description="Minimum change to be an improvement.")
    min_lr: Fraction = Field(0.0, description="Minimum learning rate.")


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
    """Return the learning rate or the Keras schedule for an optimizer.

    Args:
        schedule: a section of this module; `PlateauSchedule` is a callback instead.
        peak: the learning rate that fractions and factors refer to.
        steps_per_epoch: training steps per epoch.
        epochs: the number of epochs.
    """
    import keras

    schedules = keras.optimizers.schedules
    warmup = round(getattr(schedule, "warmup", 0.0) * steps_per_epoch)
    total = max(epochs * steps_per_epoch - warmup, 1)
    rate: Any = peak
    if isinstance(schedule, CosineSchedule):
        rate = schedules.CosineDecay(peak, total, alpha=schedule.alpha)
    elif isinstance(schedule, ExponentialSchedule):
        rate = schedules.ExponentialDecay(
            peak, steps_per_epoch, schedule.decay_rate, staircase=schedule.staircase
        )
    elif isinstance(schedule, PiecewiseSchedule):
        # Keras counts from the end of the warmup, and changes the rate after the boundary.
        steps = (round(boundary * steps_per_epoch) for boundary in schedule.boundaries)
        boundaries = [max(step - warmup - 1, -1) for step in steps]
        values = [peak, *(peak * factor for factor in schedule.factors)]
        rate = schedules.PiecewiseConstantDecay(boundaries, values)
    return _with_warmup(rate, peak, warmup) if warmup else rate


def is_proportional(schedule: Config | None) -> bool:
    """Return whether every rate is the peak times a number, to the bit, in `adjustable_rate`."""
    return isinstance(schedule, CosineSchedule) and not schedule.warmup


def has_constant_peak(schedule: Config | None) -> bool:
    """Return whether Keras keeps the rate in a variable, because it has no schedule."""
    return isinstance(schedule, PlateauSchedule | None) or (
        isinstance(schedule, ConstantSchedule) and not schedule.warmup
    )


def adjustable_rate(
    schedule: Config | None, peak: Any, *, steps_per_epoch: int, epochs: int
) -> Any:
    """Return a Keras schedule whose peak is a variable.

    Args:
        schedule: a proportional one.
        peak: a float32 Keras variable.
        steps_per_epoch: training steps per epoch.
        epochs: the number of epochs.
    """
    import keras

    shape = learning_rate(schedule, 1.0, steps_per_epoch=steps_per_epoch, epochs=epochs)

    class Adjustable(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            return peak * shape(step)

        def get_config(self) -> dict[str, Any]:
            return {"peak": peak, "shape": shape}

    return Adjustable()


def callbacks(schedule: Config | None, *, loss_metric: str) -> list[Any]:
    """Return the Keras callbacks of a schedule.

    Args:
        schedule: the section of the recipe.
        loss_metric: the name of the metric by which a plateau is seen.
    """
    import keras

    if not isinstance(schedule, PlateauSchedule):
        return []
    options = schedule.model_dump()
    return [keras.callbacks.ReduceLROnPlateau(monitor=loss_metric, mode="min", **options)]


def _with_warmup(rate: Any, peak: float, steps: int) -> Any:
    """Return a schedule that increases linearly to `peak` in `steps` and then follows `rate`."""
    import keras

    class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            step = keras.ops.cast(step, "float32")
            increasing = peak * (step + 1) / (steps + 1)
            after = rate(step - steps) if callable(rate) else peak
            return keras.ops.where(step < steps, increasing, after)

        def get_config(self) -> dict[str, Any]:
            return {"rate": rate, "peak": peak, "steps": steps}

    return WarmUp()
