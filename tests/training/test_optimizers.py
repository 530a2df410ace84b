"""The table of optimizers, compared with the installed Keras."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np
import pytest
from pydantic import TypeAdapter

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
