"""What training changes in a model."""

from __future__ import annotations

import keras
import numpy as np

from pipeline.training import model_state


def network() -> keras.Model:
    """A frozen network inside a model with a head that has statistics and dropout."""
    pixels = keras.Input((2,))
    base = keras.Model(pixels, keras.layers.Dense(3, name="frozen")(pixels), name="base")
    base.trainable = False
    x = keras.layers.BatchNormalization(name="norm")(base(pixels))
    x = keras.layers.Dropout(0.5, seed=1, name="dropout")(x)
    return keras.Model(pixels, keras.layers.Dense(1, name="head")(x))


def test_what_is_frozen_is_left_out_and_what_is_random_is_not() -> None:
    names = [variable.path for variable in model_state.variables(network())]
    assert [name.partition("/")[2] for name in names] == [
        "gamma",
        "beta",
        "moving_mean",
        "moving_variance",
        "seed_generator_state",
        "kernel",
        "bias",
    ]


def test_weights_are_without_the_states_of_random_generators() -> None:
    assert len(model_state.weights(network())) == 6


def test_values_are_copies_that_can_be_given_back() -> None:
    variables = model_state.variables(network())
    before = model_state.values(variables)
    model_state.assign(variables, [value + 1 for value in before])
    assert all(
        np.all(now != then) for now, then in zip(model_state.values(variables), before, strict=True)
    )
    model_state.assign(variables, before)
    assert all(
        np.all(now == then) for now, then in zip(model_state.values(variables), before, strict=True)
    )
