"""Learning rates by layer, compared with the steps of Keras's own optimizers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from pydantic import TypeAdapter

from pipeline.training import optimizers


def step(rates: dict[str, float], **config: Any) -> dict[str, np.ndarray]:
    """Return how one step with gradients of 1 changes the weights of two layers."""
    first, second = keras.layers.Dense(3), keras.layers.Dense(2)
    model = keras.Sequential([keras.Input((4,)), first, second])
    weights = {
        "first": first.kernel,
        "first_bias": first.bias,
        "second": second.kernel,
    }
    for weight in weights.values():
        weight.assign(np.ones(weight.shape))
    optimizer = optimizers.build_optimizer(
        TypeAdapter(optimizers.AnyOptimizer).validate_python(config),
        steps_per_epoch=10,
        epochs=1,
        fused=True,
        layer_rates=[(weights[name], rate) for name, rate in rates.items()],
    )
    optimizer.build(model.trainable_variables)
    optimizer.apply([keras.ops.ones(each.shape) for each in model.trainable_variables])
    return {name: np.asarray(weight) - 1 for name, weight in weights.items()}


@pytest.mark.parametrize(
    "config",
    [
        {"name": "sgd", "learning_rate": 0.1},
        {"name": "adam", "learning_rate": 0.1},  # the fused one
        {"name": "adam", "learning_rate": 0.1, "schedule": {"cosine": {"warmup": 0.5}}},
        {"name": "adamw", "learning_rate": 0.1, "weight_decay": 0.5},
        {"name": "sgd", "learning_rate": 0.1, "weight_decay": 0.5},
    ],
    ids=str,
)
def test_a_step_and_its_weight_decay_are_smaller_by_the_factor(config: dict[str, Any]) -> None:
    usual = step({}, **config)
    changed = step({"first": 0.25, "first_bias": 0.25}, **config)
    for name, factor in {"first": 0.25, "first_bias": 0.25, "second": 1.0}.items():
        np.testing.assert_allclose(changed[name], factor * usual[name], rtol=0.02)
        assert np.all(usual[name] < 0)
