"""One pass over the validation images has the metrics and the outputs of Keras's two."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.data.digits import DigitsConfig
from pipeline.training.validation import Validation


def test_metrics_and_outputs_are_those_of_keras() -> None:
    train = DigitsConfig(source="digits").load().train
    pixels = train.images.read(np.arange(100)).reshape(100, -1) / 255
    labels = keras.utils.to_categorical(train.labels[:100], 10)
    batches = tf.data.Dataset.from_tensor_slices((pixels, labels)).batch(30)  # the last: 10
    inputs = keras.Input((64,))
    hidden = keras.layers.Dropout(0.5)(keras.layers.Dense(8, kernel_regularizer="l2")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(hidden))
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    model.fit(batches, shuffle=False, verbose=0)

    checks: list[None] = []
    metrics, outputs = Validation(model).run(batches, lambda: checks.append(None))
    expected = model.evaluate(batches, verbose=0, return_dict=True)
    assert metrics == pytest.approx(expected, rel=1e-6)
    assert {type(value) for value in metrics.values()} == {float}
    np.testing.assert_allclose(outputs, model.predict(batches, verbose=0), rtol=1e-5)
    assert len(checks) == 4


def test_its_time_is_known_by_a_few_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    taken: list[int] = []

    class Batches:
        def __len__(self) -> int:
            return 30

        def __iter__(self) -> Any:
            nonlocal now
            for i in range(30):
                now += 2
                taken.append(i)
                yield np.ones((4, 3)), np.ones((4, 1))

    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(np.ones((4, 3)), np.ones((4, 1)), verbose=0)
    before = float(model.metrics[0].result())
    assert Validation(model).expected_seconds(Batches()) == 2 * 30
    assert taken == [0, 1, 2, 3, 4]
    assert float(model.metrics[0].result()) == before
    assert Validation(model).expected_seconds(None) == 0


def test_the_only_batch_is_timed_after_it_was_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: sum(seconds))
    model: Any = SimpleNamespace(metrics_variables=[])
    validation = Validation(model)
    durations = iter((9.0, 2.0))  # it compiles in the first call

    def take_step(x: Any, y: Any) -> tuple[dict[str, Any], Any]:
        seconds.append(next(durations))
        return {}, tf.constant(0.0)

    monkeypatch.setattr(validation, "_take_step", take_step)
    assert validation.expected_seconds([(np.ones((4, 3)), np.ones((4, 1)))]) == 2
