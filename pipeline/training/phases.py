"""Training from first to last, in one phase or several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.training import optimizers, schedules
from pipeline.training.keys import FineTune, Training
from pipeline.training.losses import loss_function, running_metrics
from pipeline.training.optimizers import OptimizerKeys

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from pipeline.training.callbacks import BestEpoch, Row
    from pipeline.training.devices import Devices

# With this many steps in one call of the compiled function, its overhead no longer shows.
_MOST_STEPS_A_CALL = 32


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
class Phase:
    """A stretch of training.

    Attributes:
        model: an uncompiled model over probabilities.
        batches: what it is fitted to.
        epochs: the most passes over the training data.
        optimizer: the section of the recipe, for a fresh optimizer.
    """

    model: keras.Model
    batches: Batches
    epochs: int
    optimizer: OptimizerKeys


@dataclass(frozen=True)
class History:
    """What happened in each epoch.

    Attributes:
        rows: `loss`, `accuracy`, `val_loss`, `val_accuracy` and so on by epoch.
        best_epoch: the epoch, counted from 1, whose weights the model has now.
        phases: the number of epochs before each phase.
    """

    rows: tuple[Row, ...]
    best_epoch: int
    phases: tuple[int, ...]


def train(
    phases: Iterable[Phase],
    *,
    training: Training,
    label_smoothing: float,
    devices: Devices,
    on_epoch: Callable[[int, Row, float], None],
) -> History:
    """Train in one phase after another, and leave the weights of the best epoch of all of them.

    Args:
        phases: the models of later phases share weights with the first one's; each phase is asked
            for when the one before has ended and its best weights are back in place.
        training: the section of the recipe.
        label_smoothing: share of a label given to all classes.
        devices: what is trained on.
        on_epoch: is called with each epoch's number, from 1, its metrics and its seconds.

    Raises:
        TrainingError: if the loss is no longer a number.
    """
    from pipeline.training.callbacks import BestEpoch

    best = BestEpoch(training.monitor)
    rows: list[Row] = []
    starts: list[int] = []

    def record(epoch: int, row: Row, spent: float) -> None:
        rows.append(row)
        on_epoch(epoch, row, spent)

    for phase in phases:
        starts.append(len(rows))
        steps = phase.batches.steps_per_epoch
        phase.model.compile(
            optimizer=optimizers.build(phase.optimizer, steps_per_epoch=steps, epochs=phase.epochs),
            loss=loss_function(training.loss, label_smoothing=label_smoothing),
            metrics=running_metrics(training.loss, topk=training.topk),
            # Several steps in one call fail in TensorFlow where several devices share them.
            steps_per_execution=1 if devices.strategy else steps_a_call(steps),
            # On CPUs XLA makes training two to twelve times slower.
            jit_compile="auto" if devices.on_gpu else False,
        )
        best.follow(phase.model)
        _fit(phase, len(rows), best, _callbacks(phase.optimizer, training), record)
        best.restore()
    return History(tuple(rows), best.epoch, tuple(starts))


def fine_tuning(optimizer: OptimizerKeys, fine_tune: FineTune) -> OptimizerKeys:
    """Return the optimizer of the fine-tuning phase: the same kind, at a slow constant rate."""
    changes = {"learning_rate": fine_tune.learning_rate, "schedule": None}
    return optimizer.model_copy(update=changes)


def steps_a_call(steps_per_epoch: int) -> int:
    """Return how many training steps one call of the compiled function makes.

    It divides the epoch, because Keras runs the last call of an epoch in full.
    """
    limit = min(_MOST_STEPS_A_CALL, steps_per_epoch)
    return next(count for count in range(limit, 0, -1) if steps_per_epoch % count == 0)


def _fit(
    phase: Phase,
    first: int,
    best: BestEpoch,
    callbacks: Sequence[Any],
    record: Callable[[int, Row, float], None],
) -> None:
    from pipeline.training.callbacks import EachEpoch, StopOnNaN
    from pipeline.training.progress import ProgressDisplay

    end = first + phase.epochs
    display = ProgressDisplay(best, first_epoch=first, last_epoch=end)
    try:
        phase.model.fit(
            phase.batches.training(first, end),
            steps_per_epoch=phase.batches.steps_per_epoch,
            initial_epoch=first,
            epochs=end,
            validation_data=phase.batches.validation,
            callbacks=[*callbacks, StopOnNaN(), best, EachEpoch(record), display],
            shuffle=False,
            verbose=0,
        )
    finally:
        display.close()


def _callbacks(optimizer: OptimizerKeys, training: Training) -> list[Any]:
    import keras

    found: list[Any] = []
    if optimizer.use_ema:  # comes first: it puts the averaged weights in place for the others
        found.append(keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
    found += schedules.callbacks(optimizers.schedule_of(optimizer))
    stopping = training.early_stopping
    if stopping and stopping.patience:
        found.append(
            keras.callbacks.EarlyStopping(
                monitor=stopping.monitor,
                patience=stopping.patience,
                min_delta=stopping.min_delta,
                mode="max" if stopping.monitor.endswith("accuracy") else "min",
            )
        )
    return found
