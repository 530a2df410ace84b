"""Gradients and dead units by layer, compared with numbers computed by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from pipeline.training.layer_records import LayerRecorder


@pytest.fixture
def model() -> keras.Model:
    pixels = keras.Input((4, 4, 1))
    x = keras.layers.Conv2D(3, 3, activation="relu", name="any_name")(pixels)
    x = keras.layers.Dropout(0.5)(keras.layers.Flatten()(x))
    return keras.Model(pixels, keras.layers.Dense(2)(x))


def measured(model: keras.Model, *record: str) -> dict[str, float]:
    generator = np.random.default_rng(0)
    inputs = generator.uniform(size=(300, 4, 4, 1)).astype(np.float32)
    batches = [(inputs[i : i + 100], inputs[i : i + 100, 0, :2, 0]) for i in (0, 100, 200)]
    recorder = LayerRecorder(model, keras.losses.MeanSquaredError(), batches, record)
    logs = {"loss": 1.0}
    recorder.on_epoch_end(0, logs)
    return logs


def test_gradients_are_of_the_mean_loss_of_the_examples(model: keras.Model) -> None:
    logs = measured(model, "gradients")
    assert list(logs) == ["loss", "gradient_norm/01_conv2d", "gradient_norm/02_dense"]
    inputs = np.random.default_rng(0).uniform(size=(300, 4, 4, 1)).astype(np.float32)
    features = keras.Model(model.input, model.layers[-2].output)(inputs, training=False)
    errors = np.asarray(model(inputs)) - inputs[:, 0, :2, 0]
    kernel = np.asarray(features).T @ (2 * errors / errors.size)
    bias = np.sum(2 * errors / errors.size, axis=0)
    expected = np.sqrt(np.sum(kernel**2) + np.sum(bias**2))
    assert logs["gradient_norm/02_dense"] == pytest.approx(expected, rel=1e-4)


def test_a_feature_map_that_is_always_0_is_dead(model: keras.Model) -> None:
    kernel, bias = model.get_layer("any_name").get_weights()
    kernel[:] = [1.0, 1.0, -1.0]
    model.get_layer("any_name").set_weights([kernel, bias])
    assert measured(model, "units") == {
        "loss": 1.0,
        "dead_units/01_conv2d": pytest.approx(1 / 3),
    }


def test_measuring_draws_nothing_random(model: keras.Model) -> None:
    before = [np.asarray(variable) for variable in model.variables]
    measured(model, "gradients", "units")
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
