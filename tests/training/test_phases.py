"""Training on the real digits: what the model learns, the best epoch, and reproducibility."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter

from pipeline.data.batches import evaluation_batches, steps_per_epoch, training_batches
from pipeline.data.digits import DigitsConfig
from pipeline.data.splits import Splits
from pipeline.errors import DivergedError, TrainingError
from pipeline.models import mlp
from pipeline.models.layers import OutputLayer
from pipeline.models.regularization import RegularizationConfig
from pipeline.tasks.classification import label_encoding, running_metrics
from pipeline.training import checkpoints, devices, optimizers
from pipeline.training.callbacks import EpochMetrics
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.phases import (
    History,
    Phase,
    fit_phases,
)
from pipeline.training.time_budget import TimeBudget
from pipeline.training.training_config import (
    EarlyStoppingConfig,
    FineTuneConfig,
    RuntimeConfig,
    TrainingConfig,
)
from pipeline.training.training_data import TrainingData

OUTPUT = OutputLayer(10, "softmax")
ENCODING = label_encoding(10, OUTPUT)
METRICS = partial(running_metrics, 10, OUTPUT, top_k=None)


@pytest.fixture(scope="module")
def splits() -> Splits:
    return DigitsConfig(source="digits").load()


def batches_of(splits: Splits, batch_size: Any = 64) -> TrainingData:
    def training(first_epoch: int, epochs: int) -> Any:
        return training_batches(
            splits.train,
            encoding=ENCODING,
            batch_size=batch_size,
            augmentation=(),
            seed=7,
            first_epoch=first_epoch,
            epochs=epochs,
        )

    return TrainingData(
        training=training,
        validation=evaluation_batches(splits.named()["val"], encoding=ENCODING, batch_size=64),
        steps_per_epoch=steps_per_epoch(splits.train, batch_size),
    )


def train(
    splits: Splits,
    *,
    batch_size: Any = 64,
    dropout: float = 0.0,
    training: TrainingConfig | None = None,
    on: devices.Devices | None = None,
    **optimizer: Any,
) -> tuple[keras.Model, History]:
    keras.utils.set_random_seed(7)
    model = mlp.MLPConfig(architecture="mlp", hidden=(64,)).build(
        input_shape=(8, 8, 1),
        output=OutputLayer(10, "softmax"),
        regularization=RegularizationConfig(dropout=dropout),
        standardize=keras.layers.Rescaling(1 / 255),
    )
    training = training or TrainingConfig(epochs=4)
    config = TypeAdapter(optimizers.AnyOptimizer).validate_python(optimizer)
    phase = Phase(model, batches_of(splits, batch_size), training.epochs, config)
    return model, fit([phase], training, on=on)


def fit(
    phases: Iterable[Phase],
    training: TrainingConfig,
    on_epoch: Callable[[int, EpochMetrics, float], None] = lambda epoch, row, seconds: None,
    on: devices.Devices | None = None,
    monitor: str | None = "val_log_loss",
) -> History:
    return fit_phases(
        phases,
        training=training,
        monitor=monitor,
        loss_metric="val_log_loss",
        label_smoothing=0.0,
        output_scale=1.0,
        metrics=METRICS,
        devices=on or devices.find_devices(RuntimeConfig(devices="cpu")),
        on_epoch=on_epoch,
    )


def test_the_model_learns_the_digits(splits: Splits) -> None:
    _, history = train(splits, training=TrainingConfig(epochs=12), learning_rate=5e-3)
    assert history.rows[(history.best_epoch or 0) - 1]["val_accuracy"] > 0.92


def test_the_function_is_called_with_epochs_counted_from_one(splits: Splits) -> None:
    calls: list[tuple[int, EpochMetrics, bool]] = []
    model = mlp.MLPConfig(architecture="mlp", hidden=()).build(
        input_shape=(8, 8, 1),
        output=OutputLayer(10, "softmax"),
        regularization=RegularizationConfig(),
        standardize=keras.layers.Rescaling(1 / 255),
    )
    phase = Phase(model, batches_of(splits), 2, optimizers.default_optimizer())
    history = fit(
        [phase],
        TrainingConfig(),
        lambda epoch, row, seconds: calls.append((epoch, row, seconds > 0)),
    )
    assert calls == [(1, history.rows[0], True), (2, history.rows[1], True)]
    assert {type(value) for value in history.rows[0].values()} == {float}


def test_the_same_seed_gives_bit_identical_metrics(splits: Splits) -> None:
    first, second = (train(splits, dropout=0.3)[1] for _ in range(2))
    assert first.rows == second.rows


def test_the_model_has_the_weights_of_the_best_epoch(splits: Splits) -> None:
    # The rate of the last epochs ruins what was learned before.
    ruinous = {"piecewise": {"boundaries": [3], "factors": [1e4]}}
    model, history = train(splits, training=TrainingConfig(epochs=5), schedule=ruinous)
    assert history.best_epoch in (1, 2, 3)
    found = model.evaluate(batches_of(splits).validation, verbose=0, return_dict=True)
    best = history.rows[(history.best_epoch or 0) - 1]
    assert found["loss"] == pytest.approx(best["val_loss"], rel=1e-5)
    assert found["accuracy"] == pytest.approx(best["val_accuracy"], rel=1e-6)


def test_early_stopping_waits_for_its_patience(splits: Splits) -> None:
    stopping = EarlyStoppingConfig(monitor="val_log_loss", patience=2)
    _, history = train(
        splits, training=TrainingConfig(epochs=50, early_stopping=stopping), learning_rate=0.1
    )
    assert history.best_epoch == len(history.rows) - 2


def test_batch_gradient_descent_takes_one_step_an_epoch(splits: Splits) -> None:
    model, _ = train(splits, batch_size="all", training=TrainingConfig(epochs=3))
    assert int(model.optimizer.iterations) == 3


def test_a_schedule_is_followed(splits: Splits) -> None:
    model, _ = train(splits, schedule={"cosine": {}}, learning_rate=0.01)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.0, abs=1e-6)


def test_the_learning_rate_of_each_epoch_is_recorded(splits: Splits) -> None:
    _, history = train(
        splits, schedule={"cosine": {}}, learning_rate=0.01, training=TrainingConfig(epochs=4)
    )
    rates = [row["learning_rate"] for row in history.rows]
    expected = [0.01 * (1 + np.cos(np.pi * epoch / 4)) / 2 for epoch in range(4)]
    assert rates == pytest.approx(expected, rel=1e-4)


def test_the_averaged_weights_are_evaluated_and_kept(splits: Splits) -> None:
    model, history = train(splits, learning_rate=0.01, use_ema=True, ema_momentum=0.9)
    _, accuracy = model.evaluate(batches_of(splits).validation, verbose=0)
    best = history.rows[(history.best_epoch or 0) - 1]
    assert accuracy == pytest.approx(best["val_accuracy"], rel=1e-6)
    plain, _ = train(splits, learning_rate=0.01)
    assert not np.allclose(model.get_weights()[0], plain.get_weights()[0])


def test_an_excessive_learning_rate_is_an_error(splits: Splits) -> None:
    with pytest.raises(DivergedError, match=r"^The loss became (nan|inf) in epoch 1\. "):
        train(splits, name="sgd", learning_rate=1e30)


# The rate is good for two epochs, then so high that the loss overflows.
EXPLODING: dict[str, Any] = {
    "name": "sgd",
    "learning_rate": 0.05,
    "schedule": {"piecewise": {"boundaries": [2], "factors": [1e30]}},
}


def test_a_training_that_diverges_keeps_the_best_epoch_before(splits: Splits) -> None:
    model, history = train(splits, training=TrainingConfig(epochs=5), **EXPLODING)
    assert history.divergence.startswith("The loss became ")
    assert " in epoch 3. " in history.divergence
    assert len(history.rows) == 2
    assert history.metrics == {"best_epoch": float(history.best_epoch or 0), "diverged_epoch": 3.0}
    _, accuracy = model.evaluate(batches_of(splits).validation, verbose=0)
    best = history.rows[(history.best_epoch or 0) - 1]
    assert accuracy == pytest.approx(best["val_accuracy"], rel=1e-6)
    assert accuracy > 0.3
    assert all(np.isfinite(value).all() for value in model.optimizer.variables)


def test_no_phase_follows_one_that_diverges(splits: Splits) -> None:
    model, _ = train(splits, training=TrainingConfig(epochs=1))
    exploding = TypeAdapter(optimizers.AnyOptimizer).validate_python(EXPLODING)
    phases = (Phase(model, batches_of(splits), 5, exploding) for _ in range(2))
    history = fit(phases, TrainingConfig())
    assert history.phases == (0,)
    assert next(phases, None) is not None


def test_a_training_that_diverges_without_validation_images_is_an_error(splits: Splits) -> None:
    model, _ = train(splits, training=TrainingConfig(epochs=1))
    batches = dataclasses.replace(batches_of(splits), validation=None)
    exploding = TypeAdapter(optimizers.AnyOptimizer).validate_python(EXPLODING)
    with pytest.raises(DivergedError, match=r"^The loss became (nan|inf) in epoch 3\. "):
        fit([Phase(model, batches, 5, exploding)], TrainingConfig(), monitor=None)


def test_a_precision_without_instructions_for_it_is_an_error(
    splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit_without_kernel(*arguments: Any, **options: Any) -> None:
        raise tf.errors.AbortedError(None, None, "could not create a primitive descriptor")

    monkeypatch.setattr(keras.Model, "fit", fit_without_kernel)
    half = devices.find_devices(RuntimeConfig(devices="cpu", precision="mixed_bfloat16"))
    with half.scope(), pytest.raises(TrainingError) as caught:
        train(splits, on=half)
    assert str(caught.value) == (
        "runtime.precision: TensorFlow cannot compute this model in mixed_bfloat16 on CPU:0, which "
        "may lack the instructions. Set it to float32."
    )
    with pytest.raises(tf.errors.AbortedError):
        train(splits)


def test_a_second_phase_starts_from_the_best_epoch_of_the_first(splits: Splits) -> None:
    keras.utils.set_random_seed(7)
    pixels = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(pixels))
    model = keras.Model(pixels, keras.layers.Dense(10, activation="softmax")(x))
    optimizer = optimizers.default_optimizer()
    starting: list[float] = []

    def phases() -> Iterator[Phase]:
        yield Phase(model, batches_of(splits), 2, optimizer)
        starting.append(model.evaluate(batches_of(splits).validation, verbose=0)[0])
        fine_tune = FineTuneConfig(start="x", epochs=2, learning_rate=1e3)
        ruinous = fine_tune.optimizer_after(optimizer)
        yield Phase(model, batches_of(splits), 2, ruinous)

    history = fit(phases(), TrainingConfig(epochs=2))
    losses = [row["val_loss"] for row in history.rows]  # without penalties, it is the log loss
    assert history.phases == (0, 2)
    assert starting[0] == pytest.approx(min(losses[:2]), rel=1e-5)
    assert history.best_epoch in (1, 2)
    final = model.evaluate(batches_of(splits).validation, verbose=0)[0]
    assert final == pytest.approx(min(losses), rel=1e-5)


def two_phases(
    splits: Splits,
    directory: Path,
    *,
    until: int | None,
    is_validated: bool = True,
    **optimizer: Any,
) -> tuple[History | None, keras.Model, list[int]]:
    """Train in two phases, interrupted after the epoch `until`; also return the logged epochs."""
    keras.utils.set_random_seed(7)
    model = mlp.MLPConfig(architecture="mlp", hidden=(32,)).build(
        input_shape=(8, 8, 1),
        output=OutputLayer(10, "softmax"),
        regularization=RegularizationConfig(dropout=0.3, batch_norm=True),
        standardize=keras.layers.Rescaling(1 / 255),
    )
    config = TypeAdapter(optimizers.AnyOptimizer).validate_python(optimizer)
    batches = batches_of(splits, 256)
    if not is_validated:
        batches = dataclasses.replace(batches, validation=None)
    saved = Checkpoints(directory)
    epochs_logged: list[int] = []

    def on_epoch(epoch: int, row: EpochMetrics, seconds: float) -> None:
        epochs_logged.append(epoch)
        if epoch == until:
            raise KeyboardInterrupt

    stopping = EarlyStoppingConfig(monitor="val_log_loss", patience=2) if is_validated else None
    try:
        history = fit_phases(
            [Phase(model, batches, epochs, config) for epochs in (3, 6)],
            training=TrainingConfig(epochs=3, early_stopping=stopping),
            monitor=stopping.monitor if stopping else None,
            loss_metric="val_log_loss",
            label_smoothing=0.0,
            output_scale=1.0,
            metrics=METRICS,
            devices=devices.find_devices(RuntimeConfig(devices="cpu")),
            on_epoch=on_epoch,
            checkpoints=saved,
        )
    except KeyboardInterrupt:
        saved.flush()
        return None, model, epochs_logged
    return history, model, epochs_logged


def test_a_resumed_training_is_bit_identical_to_an_uninterrupted_one(
    splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "_MAX_TIME_FRACTION", math.inf)  # write each checkpoint
    optimizer: dict[str, Any] = {
        "name": "nadam",
        "learning_rate": 0.05,
        "schedule": {"plateau": {"patience": 1}},
        "use_ema": True,
        "ema_momentum": 0.9,
    }
    expected, model, _ = two_phases(splits, tmp_path / "whole", until=None, **optimizer)
    for epoch in (2, 5):  # one in each phase
        assert two_phases(splits, tmp_path / "parts", until=epoch, **optimizer)[0] is None
    history, resumed, logged = two_phases(splits, tmp_path / "parts", until=None, **optimizer)
    assert history == expected
    assert expected
    assert logged == list(range(1, len(expected.rows) + 1))
    for one, other in zip(resumed.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_a_training_without_validation_resumes_bit_identically_too(
    splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(name: str, until: int | None) -> tuple[History | None, keras.Model, list[int]]:
        averaging: dict[str, Any] = {"use_ema": True, "ema_momentum": 0.9}
        return two_phases(splits, tmp_path / name, until=until, is_validated=False, **averaging)

    monkeypatch.setattr(checkpoints, "_MAX_TIME_FRACTION", math.inf)  # write each checkpoint
    expected, model, _ = train("whole", None)
    assert expected
    assert (len(expected.rows), expected.best_epoch) == (9, None)
    assert not any(name.startswith("val_") for name in expected.rows[0])
    for epoch in (2, 5):  # one in each phase
        assert train("parts", epoch)[0] is None
    history, resumed, _ = train("parts", None)
    assert history == expected
    for one, other in zip(resumed.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_resuming_a_finished_training_only_restores_the_best_weights(
    splits: Splits, tmp_path: Path
) -> None:
    expected, model, _ = two_phases(splits, tmp_path, until=None, learning_rate=0.1)
    history, resumed, _ = two_phases(splits, tmp_path, until=None, learning_rate=0.1)
    assert history == expected
    for one, other in zip(resumed.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def train_in_time(
    splits: Splits,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    evaluation: int,
    until: int | None = None,
) -> tuple[History | None, int]:
    """Train for 90 s, of which each evaluation takes so many and all else none.

    Two phases share them. Returns the history, None if it was interrupted after the epoch `until`,
    and the number of phases that were requested.
    """
    now, requested = 0.0, 0
    monkeypatch.setattr("time.monotonic", lambda: now)
    cosine = TypeAdapter(optimizers.AnyOptimizer).validate_python({"schedule": {"cosine": {}}})
    pixels = keras.Input((8, 8, 1))
    outputs = keras.layers.Dense(10, activation="softmax")(keras.layers.Flatten()(pixels))
    model = keras.Model(pixels, outputs)

    def phases() -> Iterator[Phase]:
        nonlocal requested
        for after in (1, 0):
            requested += 1
            yield Phase(model, batches_of(splits), 5, cosine, phases_after=after)

    def evaluate(outputs: np.ndarray) -> EpochMetrics:
        nonlocal now
        now += evaluation
        return {}

    def on_epoch(epoch: int, row: EpochMetrics, seconds: float) -> None:
        if epoch == until:
            raise KeyboardInterrupt

    saved = Checkpoints(directory)
    try:
        history = fit_phases(
            phases(),
            training=TrainingConfig(
                epochs=5, budget="90s", fine_tune=FineTuneConfig(start="x", epochs=5)
            ),
            monitor=None,
            loss_metric="log_loss",
            output_scale=1.0,
            label_smoothing=0.0,
            metrics=METRICS,
            devices=devices.find_devices(RuntimeConfig(devices="cpu")),
            on_epoch=on_epoch,
            evaluate=evaluate,
            checkpoints=saved,
            budget=TimeBudget(90),
        )
    except KeyboardInterrupt:
        saved.flush()
        return None, requested
    return history, requested


@pytest.mark.slow
def test_a_budget_ends_both_phases_with_their_schedules_also_when_training_resumes(
    splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train_in_time(splits, tmp_path, monkeypatch, evaluation=14, until=2)[0] is None
    history, _ = train_in_time(splits, tmp_path, monkeypatch, evaluation=14)
    assert history
    assert history.budget == "training.budget: 90s ended training after 6 of 10 epochs."
    assert history.metrics == {"budget_epoch": 6.0}
    assert history.phases == (0, 3)
    rates = [row["learning_rate"] for row in history.rows]
    for first in (0, 3):  # the speed is known after an epoch; then the rest of the curve follows
        expected = [1e-3 * (1 + np.cos(np.pi * done)) / 2 for done in (0, 0.2, 0.6)]
        assert rates[first : first + 3] == pytest.approx(expected, rel=1e-4)


def test_no_phase_starts_after_the_end_of_the_budget(
    splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history, requested = train_in_time(splits, tmp_path, monkeypatch, evaluation=100)
    assert history
    assert history.budget == "training.budget: 90s ended training after 1 of 10 epochs."
    assert (history.phases, requested) == ((0,), 1)
