"""The table of optimizers, compared with the installed Keras."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from sklearn.datasets import load_digits

from pipeline.training import optimizers
from pipeline.training.optimizers import OPTIMIZERS

WRAPPERS = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer"}
# A name says nothing, the loss is scaled with the precision, and layers have no names in a recipe.
NOT_OFFERED = {"self", "name", "kwargs", "loss_scale_factor", "exclude_layers"}


def section(**keys: Any) -> Any:
    return TypeAdapter(optimizers.AnyOptimizer).validate_python(keys)


def test_the_table_lists_every_optimizer_of_keras() -> None:
    classes = {
        name
        for name, member in vars(keras.optimizers).items()
        if inspect.isclass(member) and issubclass(member, keras.optimizers.Optimizer)
    }
    assert {optimizer.class_name for optimizer in OPTIMIZERS.values()} == classes - WRAPPERS


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_arguments_and_defaults_are_those_of_keras(name: str) -> None:
    constructor = getattr(keras.optimizers, OPTIMIZERS[name].class_name).__init__
    signature = {
        key: parameter.default
        for key, parameter in inspect.signature(constructor).parameters.items()
        if key not in NOT_OFFERED
    }
    assert section(name=name).model_dump(exclude={"name", "schedule"}) == signature


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_each_optimizer_is_built_with_its_own_learning_rate(name: str) -> None:
    built = optimizers.build_optimizer(
        section(name=name, learning_rate=0.25), steps_per_epoch=10, epochs=2
    )
    assert type(built).__name__ == OPTIMIZERS[name].class_name
    assert float(built.learning_rate) == 0.25


def test_arguments_reach_keras() -> None:
    built = optimizers.build_optimizer(
        section(name="sgd", momentum=0.9, nesterov=True, clipnorm=1.0, use_ema=True),
        steps_per_epoch=10,
        epochs=2,
    )
    assert (built.momentum, built.nesterov, built.clipnorm, built.use_ema) == (0.9, True, 1.0, True)


def test_the_default_optimizer_is_adam() -> None:
    assert section(learning_rate=0.1).name == "adam"
    assert optimizers.default_optimizer().name == "adam"


@pytest.mark.parametrize("name", ["adamw", "sgd", "muon"])
def test_weight_decay_spares_biases_and_normalization(name: str) -> None:
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3), keras.layers.BatchNormalization()]
    )
    for variable in model.trainable_variables:
        variable.assign(keras.ops.ones_like(variable))
    optimizer = optimizers.build_optimizer(
        section(name=name, learning_rate=0.1, weight_decay=0.5), steps_per_epoch=1, epochs=1
    )
    gradients = [keras.ops.zeros_like(variable) for variable in model.trainable_variables]
    optimizer.apply(gradients, model.trainable_variables)
    changed = [v.name for v in model.trainable_variables if not np.allclose(v, 1)]
    assert changed == ["kernel"]


def trained_weights(config: Any, *, steps: int = 6) -> list[np.ndarray]:
    """Return the weights of a model of digits after some steps."""
    digits = load_digits()
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(4, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    optimizer = optimizers.build_optimizer(config, steps_per_epoch=steps, epochs=1)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    model.fit(
        digits.data[: steps * 32], digits.target[: steps * 32], batch_size=32, verbose=0
    )  # some of its pixels are always 0, and so are the gradients of their weights
    return [np.asarray(weight) for weight in model.get_weights()]


@pytest.mark.parametrize(
    "keys",
    [
        {"name": "schedule_free_adamw", "beta_1": 1e-37},
        {"name": "adam", "epsilon": 1e-37},
        {"name": "adam", "beta_1": 1 - 1e-7, "beta_2": 1 - 1e-7},
        {"name": "lamb", "beta_2": 1 - 1e-7},
        {"name": "adafactor", "beta_2_decay": 0, "epsilon_2": 1e-37},
        {"name": "ftrl", "initial_accumulator_value": 0, "beta": 1},
        {"name": "ftrl", "learning_rate_power": 0},
    ],
    ids=str,
)
def test_the_most_extreme_arguments_train(keys: dict[str, Any]) -> None:
    assert all(np.isfinite(weight).all() for weight in trained_weights(section(**keys)))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"name": "schedule_free_adamw", "beta_1": 0},
            "a number between 0 and 1 in float32, because Keras divides by it",
        ),
        ({"name": "lion", "beta_1": 0}, "a number between 0 and 1 in float32"),
        ({"name": "adam", "beta_1": 0.99999999}, "a number from 0 to less than 1 in float32"),
        ({"name": "adam", "beta_2": 0.99999999}, "a number from 0 to less than 1 in float32"),
        ({"name": "adam", "ema_momentum": 0.99999999}, "a number from 0 to less than 1 in float32"),
        ({"name": "adam", "epsilon": 1e-40}, "a number above 0 in float32"),
        ({"name": "adam", "learning_rate": 1e-50}, "a number above 0 in float32"),
        ({"name": "adafactor", "beta_2_decay": 0.5}, "a number, 0 or less"),
        ({"name": "adafactor", "clip_threshold": 1e-50}, "a number above 0 in float32"),
        ({"name": "ftrl", "learning_rate_power": 0.5}, "a number, 0 or less"),
        ({"name": "adamw", "weight_decay": None}, "a number, 0 or more"),
    ],
    ids=str,
)
def test_an_argument_that_cannot_train_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        section(**keys)
    assert [detail["ctx"]["wording"] for detail in caught.value.errors()] == [message]


@pytest.mark.parametrize(
    "keys",
    [
        {"name": "sgd", "nesterov": True},
        {"name": "adafactor", "learning_rate": 1.0, "relative_step": False},
        {"name": "muon", "exclude_embeddings": False},
        {"name": "adam", "use_ema": False, "ema_momentum": 0.5, "ema_overwrite_frequency": 2},
    ],
    ids=str,
)
def test_an_argument_that_a_recipe_is_warned_of_changes_nothing(keys: dict[str, Any]) -> None:
    same = {key: value for key, value in keys.items() if key in ("name", "learning_rate")}
    changed = trained_weights(section(**keys))
    for weight, expected in zip(changed, trained_weights(section(**same)), strict=True):
        np.testing.assert_array_equal(weight, expected)
