"""All optimizers of keras.optimizers, with their arguments.

The table repeats Keras's signatures so that recipes are validated without importing Keras. A test
compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, Strict, create_model

from pipeline.config import (
    Bool,
    Config,
    Expected,
    FiniteFloat,
    Fraction32,
    NonNegativeFloat,
    NonNegativeInt,
    NonPositiveFloat,
    PositiveFloat32,
    PositiveInt,
    SeveralInt,
    TaggedUnion,
    unwrap_single_key,
)
from pipeline.training.schedules import Schedule, adjustable_rate, learning_rate


class OptimizerConfig(Config):
    """The keys that all optimizers have."""

    name: str
    learning_rate: PositiveFloat32
    schedule: Schedule | None = Field(None, description="Learning rate schedule.")
    weight_decay: NonNegativeFloat | None = Field(
        None, description="Decoupled weight decay, of all weights but biases and normalization."
    )
    clipnorm: PositiveFloat32 | None = Field(None, description="Maximum norm of each gradient.")
    clipvalue: PositiveFloat32 | None = Field(None, description="Maximum value of a gradient.")
    global_clipnorm: PositiveFloat32 | None = Field(
        None, description="Maximum norm of all gradients together."
    )
    use_ema: Bool = Field(False, description="Evaluate and save an average of the weights.")
    ema_momentum: Fraction32 = Field(0.99, description="Momentum of the moving average.")
    ema_overwrite_frequency: PositiveInt | None = Field(
        None, description="Steps between overwriting the weights with their average."
    )
    gradient_accumulation_steps: SeveralInt | None = Field(
        None,
        description="Steps whose gradients are averaged for one update, also across epochs. Those "
        "left over at the end of training are not used.",
    )


class OptimizerSpec(NamedTuple):
    """A Keras optimizer: the name of its class, and its own arguments with their defaults."""

    class_name: str
    arguments: dict[str, Any]


_ADAM = {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}

OPTIMIZERS: dict[str, OptimizerSpec] = {
    "adadelta": OptimizerSpec("Adadelta", {"learning_rate": 1e-3, "rho": 0.95, "epsilon": 1e-7}),
    "adafactor": OptimizerSpec(
        "Adafactor",
        {"learning_rate": 1e-3, "beta_2_decay": -0.8, "epsilon_1": 1e-30, "epsilon_2": 1e-3}
        | {"clip_threshold": 1.0, "relative_step": True},
    ),
    "adagrad": OptimizerSpec(
        "Adagrad", {"learning_rate": 1e-3, "initial_accumulator_value": 0.1, "epsilon": 1e-7}
    ),
    "adam": OptimizerSpec("Adam", {**_ADAM, "amsgrad": False}),
    "adamax": OptimizerSpec("Adamax", _ADAM),
    "adamw": OptimizerSpec("AdamW", {**_ADAM, "amsgrad": False, "weight_decay": 0.004}),
    "ftrl": OptimizerSpec(
        "Ftrl",
        {"learning_rate": 1e-3, "learning_rate_power": -0.5, "initial_accumulator_value": 0.1}
        | {"l1_regularization_strength": 0.0, "l2_regularization_strength": 0.0}
        | {"l2_shrinkage_regularization_strength": 0.0, "beta": 0.0},
    ),
    "lamb": OptimizerSpec("Lamb", _ADAM),
    "lion": OptimizerSpec("Lion", {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.99}),
    "muon": OptimizerSpec(
        "Muon",
        {"learning_rate": 1e-3, "adam_beta_1": 0.9, "adam_beta_2": 0.999}
        | {"adam_weight_decay": 0.004, "epsilon": 1e-7, "weight_decay": 0.004}
        | {"exclude_embeddings": True, "muon_a": 3.4445, "muon_b": -4.775, "muon_c": 2.0315}
        | {"adam_lr_ratio": 1.0, "momentum": 0.95, "ns_steps": 5, "nesterov": True}
        | {"rms_rate": 0.2},
    ),
    "nadam": OptimizerSpec("Nadam", _ADAM),
    "rmsprop": OptimizerSpec(
        "RMSprop",
        {"learning_rate": 1e-3, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False},
    ),
    "schedule_free_adamw": OptimizerSpec(
        "ScheduleFreeAdamW", {**_ADAM, "learning_rate": 0.0025, "epsilon": 1e-8, "warmup_steps": 0}
    ),
    "sgd": OptimizerSpec("SGD", {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False}),
}

_TYPES: dict[str, Any] = {
    **dict.fromkeys(
        ("beta_1", "beta_2", "adam_beta_1", "adam_beta_2", "rho", "momentum"), Fraction32
    ),
    **dict.fromkeys(("beta_2_decay", "learning_rate_power"), NonPositiveFloat),
    **dict.fromkeys(("muon_a", "muon_b", "muon_c"), FiniteFloat),
    **dict.fromkeys(("initial_accumulator_value", "beta", "adam_weight_decay"), NonNegativeFloat),
    **dict.fromkeys(
        (f"{name}_regularization_strength" for name in ("l1", "l2", "l2_shrinkage")),
        NonNegativeFloat,
    ),
    "weight_decay": NonNegativeFloat | None,
    "ns_steps": PositiveInt,
    "warmup_steps": NonNegativeInt,
}
_OPEN_FRACTION = (Strict(), Field(ge=1e-37, le=1 - 1e-7))
_TYPES_OF_ONE: dict[tuple[str, str], Any] = {
    ("adamw", "weight_decay"): NonNegativeFloat,
    ("lion", "beta_1"): Annotated[
        float, *_OPEN_FRACTION, Expected("a number between 0 and 1 in float32")
    ],
    ("schedule_free_adamw", "beta_1"): Annotated[
        float,
        *_OPEN_FRACTION,
        Expected("a number between 0 and 1 in float32, because Keras divides by it"),
    ],
}


def _argument_type(optimizer: str, argument: str, default: Any) -> Any:
    if isinstance(default, bool):
        return Bool
    if (optimizer, argument) in _TYPES_OF_ONE:
        return _TYPES_OF_ONE[optimizer, argument]
    return _TYPES.get(argument, PositiveFloat32)


# Biases and the scales of normalization layers, by parts of their names in Keras.
_NOT_DECAYED = ("bias", "beta", "gamma")

DEFAULT = "adam"

_SECTIONS: dict[str, type[OptimizerConfig]] = {
    name: create_model(
        f"{optimizer.class_name}Config",
        __base__=OptimizerConfig,
        __doc__=f"keras.optimizers.{optimizer.class_name}",
        **{  # type: ignore[call-overload]
            "name": (Literal[name], name),
            **{
                argument: (_argument_type(name, argument, default), default)
                for argument, default in optimizer.arguments.items()
            },
        },
    )
    for name, optimizer in OPTIMIZERS.items()
}

AnyOptimizer = Annotated[OptimizerConfig, TaggedUnion(_SECTIONS, key="name", default=DEFAULT)]


def default_optimizer() -> OptimizerConfig:
    """Return the section of a recipe without one."""
    return _SECTIONS[DEFAULT].model_validate({})


def plain_sgd(learning_rate: float) -> OptimizerConfig:
    """Return the section of gradient descent with a constant learning rate."""
    return _SECTIONS["sgd"].model_validate({"learning_rate": learning_rate})


def schedule_of(config: OptimizerConfig) -> Config | None:
    """Return the section of the learning rate schedule, if there is one."""
    return unwrap_single_key(config.schedule)[1] if config.schedule else None


def describe_optimizer(optimizer: OptimizerConfig) -> str:
    """Return the name of an optimizer and what its section sets: `sgd, learning_rate 0.1`."""
    values = optimizer.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
    values = {"learning_rate": optimizer.learning_rate, **values}
    return ", ".join([optimizer.name, *(f"{key} {value}" for key, value in values.items())])


def build_optimizer(
    config: OptimizerConfig,
    *,
    steps_per_epoch: int,
    epochs: int,
    peak: Any = None,
    fused: bool = False,
    pace: Any = None,
    layer_rates: Sequence[tuple[Any, float]] = (),
) -> Any:
    """Return a new Keras optimizer. Weight decay does not apply to biases and normalization.

    Args:
        config: the section `optimizer` of a recipe.
        steps_per_epoch: training steps per epoch, for the schedule.
        epochs: the number of epochs, for the schedule.
        peak: a Keras variable in place of `learning_rate` in a schedule, None for a constant.
        fused: whether Adam may be one of this package, which is faster. Its class is unknown where
            a model is loaded.
        pace: the `SchedulePace` of the schedule, None for its own.
        layer_rates: variables with a factor of their learning rate.
    """
    import keras

    from pipeline.training.fused_adam import FusedAdam
    from pipeline.training.layer_rates import layerwise_optimizer

    arguments = config.model_dump(exclude={"name", "schedule"})
    schedule, times = schedule_of(config), {"steps_per_epoch": steps_per_epoch, "epochs": epochs}
    arguments["learning_rate"] = (
        learning_rate(schedule, config.learning_rate, **times)
        if peak is None
        else adjustable_rate(schedule, peak, **times)
    )
    if pace and callable(arguments["learning_rate"]):
        arguments["learning_rate"] = pace.follow(arguments["learning_rate"])
    optimizer_class = getattr(keras.optimizers, OPTIMIZERS[config.name].class_name)
    if fused and config.name == "adam" and not arguments["amsgrad"]:
        optimizer_class = FusedAdam
    if layer_rates:
        optimizer_class = layerwise_optimizer(optimizer_class, layer_rates, _is_decayed)
    optimizer = optimizer_class(**arguments)
    optimizer.exclude_from_weight_decay(var_names=_NOT_DECAYED)
    return optimizer


def _is_decayed(variable: Any) -> bool:
    return not any(name in variable.name for name in _NOT_DECAYED)
