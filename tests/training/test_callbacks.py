"""The best epoch, and the error of a training whose loss is NaN or infinite."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from pipeline.errors import DivergedError
from pipeline.training.callbacks import BestEpoch, StopOnNaN


def one_weight() -> keras.Model:
    pixels = keras.Input((1,))
    return keras.Model(pixels, keras.layers.Dense(1, use_bias=False)(pixels))


def after_epochs(monitor: str, values: list[float]) -> tuple[BestEpoch, keras.Model]:
    model, best = one_weight(), BestEpoch(monitor, "val_log_loss")
    best.track(model)
    for epoch, value in enumerate(values):
        model.set_weights([np.array([[float(epoch + 1)]])])
        best.on_epoch_end(epoch, {"val_log_loss": 1.0, monitor: value})
    best.restore_weights()
    return best, model


@pytest.mark.parametrize(
    ("monitor", "values", "epoch"),
    [
        ("val_log_loss", [3.0, 1.0, 2.0], 2),
        ("val_accuracy", [0.3, 0.1, 0.4], 3),
        ("val_accuracy", [0.4, 0.4, 0.4], 1),
    ],
)
def test_the_model_gets_the_weights_of_the_best_epoch(
    monitor: str, values: list[float], epoch: int
) -> None:
    best, model = after_epochs(monitor, values)
    assert best.epoch == epoch
    assert best.value == values[epoch - 1]
    assert model.get_weights()[0][0, 0] == epoch


def test_without_a_monitor_the_model_gets_the_weights_of_the_last_epoch() -> None:
    model, best = one_weight(), BestEpoch(None, "val_log_loss")
    best.track(model)
    for epoch, loss in enumerate([2.0, 1.0, 3.0]):
        model.set_weights([np.array([[float(epoch + 1)]])])
        best.on_epoch_end(epoch, {"loss": loss})
    model.set_weights([np.array([[0.0]])])
    best.restore_weights()
    assert (best.epoch, model.get_weights()[0][0, 0]) == (3, 3)


def test_of_equal_epochs_the_one_with_the_lowest_log_loss_is_the_best() -> None:
    best = BestEpoch("val_accuracy", "val_log_loss")
    best.track(one_weight())
    for epoch, log_loss in enumerate([0.5, 0.3, 0.4]):
        best.on_epoch_end(epoch, {"val_accuracy": 0.9, "val_log_loss": log_loss})
    assert best.epoch == 2
    best.load(2, {"val_accuracy": 0.9, "val_log_loss": 0.3}, best.weights)
    best.on_epoch_end(3, {"val_accuracy": 0.9, "val_log_loss": 0.2})
    assert best.epoch == 4


def test_a_nan_loss_ends_the_training_with_the_usual_causes() -> None:
    stop = StopOnNaN()
    stop.on_epoch_begin(4)
    with pytest.raises(DivergedError) as ended:
        stop.on_train_batch_end(0, {"loss": float("nan")})
    assert str(ended.value) == (
        "The loss became nan in epoch 5. The usual causes: the learning rate is too high (try a "
        "tenth of optimizer.learning_rate, or a warmup), gradients explode (set "
        "optimizer.global_clipnorm: 1.0), or mixed_float16 overflows (set runtime.precision: "
        "float32)."
    )


def test_the_best_of_several_models_is_kept() -> None:
    best, first = after_epochs("val_log_loss", [1.0])
    second = one_weight()
    second.set_weights(first.get_weights())
    best.track(second)
    second.set_weights([np.array([[9.0]])])
    best.on_epoch_end(1, {"val_log_loss": 2.0})
    best.restore_weights()
    assert (best.epoch, second.get_weights()[0][0, 0]) == (1, 1.0)


def test_an_infinite_validation_loss_ends_the_training() -> None:
    with pytest.raises(DivergedError) as ended:
        after_epochs("val_log_loss", [1.0, float("inf")])
    assert str(ended.value) == (
        "val_log_loss became inf in epoch 2, although the training loss did not. Lower "
        "optimizer.learning_rate, or set optimizer.global_clipnorm: 1.0."
    )
