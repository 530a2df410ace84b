"""Training from first to last: one phase, and a second one where the base is fine-tuned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.training import optimizers, schedules
from pipeline.training.keys import Training
from pipeline.training.losses import loss_function, running_metrics

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from pipeline.training.callbacks import BestEpoch
    from pipeline.training.devices import Devices

# With this many steps in one call of the compiled function, its overhead no longer shows.
_MOST_STEPS_A_CALL = 32

Row = dict[str, float]


@dataclass(frozen=True)
class Batches:
    """The data as a model is fitted to it.

    Attributes:
        training: function of (first epoch, end epoch) that returns the batches of those epochs on
            end, as `pipeline.data.batches.training_batches` does.
        validation: the batches of one pass over the validation images.
        steps_per_epoch: training batches in an epoch.
    """

    training: Callable[[int, int], tf.data.Dataset]
    validation: tf.data.Dataset
    steps_per_epoch: int


@dataclass(frozen=True)
class History:
    """What happened in each epoch.

    Attributes:
        rows: `loss`, `accuracy`, `val_loss`, `val_accuracy` and so on by epoch.
        seconds: how long each epoch took, its validation included.
        best_epoch: the epoch, counted from 1, whose weights the model has now.
        monitor: what that epoch is best at.
        fine_tuned_from: the number of epochs before the base began to learn, None if it did not.
    """

    rows: tuple[Row, ...]
    seconds: tuple[float, ...]
    best_epoch: int
    monitor: str
    fine_tuned_from: int | None


def train(
    model: keras.Model,
    batches: Batches,
    *,
    training: Training,
    optimizer: Any,
    label_smoothing: float,
    devices: Devices,
    unfreeze: Callable[[str | int], int] | None,
    on_epoch: Callable[[int, Row, float], None],
    say: Callable[[str], None],
) -> History:
    """Train a model and leave it with the weights of its best epoch.

    Args:
        model: an uncompiled model over probabilities.
        batches: images and labels.
        training: the section of the recipe.
        optimizer: the section of the recipe.
        label_smoothing: share of a label given to all classes.
        devices: what it trains on.
        unfreeze: lets the model learn from a named place on; needed for `training.fine_tune`.
        on_epoch: is called with each epoch's number, from 1, its metrics and its seconds.
        say: tells a person something.

    Raises:
        TrainingError: if the loss is no longer a number.
        ModelError: if the model has no place to fine-tune from.
    """
    from pipeline.training.callbacks import BestEpoch

    best = BestEpoch(training.monitor)
    rows: list[Row] = []
    seconds: list[float] = []

    def record(epoch: int, row: Row, spent: float) -> None:
        rows.append(row)
        seconds.append(spent)
        on_epoch(epoch, row, spent)

    def phase(first: int, end: int, keys: Any) -> None:
        model.compile(
            optimizer=optimizers.build(
                keys, steps_per_epoch=batches.steps_per_epoch, epochs=end - first
            ),
            loss=loss_function(training.loss, label_smoothing=label_smoothing),
            metrics=running_metrics(training.loss, topk=training.topk),
            # Several steps in one call fail in TensorFlow where several devices share them.
            steps_per_execution=1 if devices.strategy else steps_a_call(batches.steps_per_epoch),
            # On CPUs XLA makes training two to twelve times slower.
            jit_compile="auto" if devices.on_gpu else False,
        )
        rule = optimizers.schedule_of(keys)
        callbacks = [*_averaging(keys), *schedules.callbacks(rule), *_stopping(training)]
        _fit(model, batches, first, end, best, callbacks, record)

    phase(0, training.epochs, optimizer)
    fine_tuned_from = None
    if training.fine_tune and unfreeze:
        best.restore(model)
        learning = unfreeze(training.fine_tune.start)
        fine_tuned_from = len(rows)
        say(f"Fine-tuning {learning:,} more weights from '{training.fine_tune.start}' on")
        changes = {"learning_rate": training.fine_tune.learning_rate, "schedule": None}
        end = fine_tuned_from + training.fine_tune.epochs
        phase(fine_tuned_from, end, optimizer.model_copy(update=changes))
    best.restore(model)
    return History(tuple(rows), tuple(seconds), best.epoch, best.monitor, fine_tuned_from)


def steps_a_call(steps_per_epoch: int) -> int:
    """Return how many training steps one call of the compiled function makes.

    It divides the epoch, because Keras runs the last call of an epoch in full.
    """
    limit = min(_MOST_STEPS_A_CALL, steps_per_epoch)
    return next(count for count in range(limit, 0, -1) if steps_per_epoch % count == 0)


def _fit(
    model: keras.Model,
    batches: Batches,
    first: int,
    end: int,
    best: BestEpoch,
    callbacks: Sequence[Any],
    record: Callable[[int, Row, float], None],
) -> None:
    from pipeline.training.callbacks import EachEpoch, StopOnNaN
    from pipeline.training.progress import ProgressDisplay

    display = ProgressDisplay(best, first_epoch=first, last_epoch=end)
    try:
        model.fit(
            batches.training(first, end),
            steps_per_epoch=batches.steps_per_epoch,
            initial_epoch=first,
            epochs=end,
            validation_data=batches.validation,
            callbacks=[*callbacks, StopOnNaN(), best, EachEpoch(record), display],
            shuffle=False,
            verbose=0,
        )
    finally:
        display.close()


def _averaging(keys: Any) -> list[Any]:
    """Return what puts the averaged weights in place for evaluation (it has to come first)."""
    import keras

    return [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if keys.use_ema else []


def _stopping(training: Training) -> list[Any]:
    import keras

    stopping = training.early_stopping
    if stopping is None or stopping.patience is None:
        return []
    return [
        keras.callbacks.EarlyStopping(
            monitor=stopping.monitor,
            patience=stopping.patience,
            min_delta=stopping.min_delta,
            mode="max" if stopping.monitor.endswith("accuracy") else "min",
        )
    ]
