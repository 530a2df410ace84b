"""Training from first to last, in one phase or several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras

from pipeline.shutdown import deferred_signals
from pipeline.training import model_state, optimizers, schedules
from pipeline.training.callbacks import (
    BestEpoch,
    OnEpochEnd,
    RestoreState,
    StopOnNaN,
    StopOnSignal,
    callback_state,
)
from pipeline.training.checkpoints import Checkpoint, Checkpoints
from pipeline.training.losses import loss_function, running_metrics
from pipeline.training.optimizers import OptimizerConfig
from pipeline.training.progress_display import ProgressDisplay
from pipeline.training.training_config import FineTuneConfig, TrainingConfig

if TYPE_CHECKING:
    import tensorflow as tf

    from pipeline.training.callbacks import EpochMetrics
    from pipeline.training.devices import Devices

# With this many steps in one call of the compiled function, its overhead no longer shows.
_MOST_STEPS_A_CALL = 32


@dataclass(frozen=True)
class TrainingData:
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
    batches: TrainingData
    epochs: int
    optimizer: OptimizerConfig


@dataclass(frozen=True)
class History:
    """What happened in each epoch.

    Attributes:
        rows: `loss`, `accuracy`, `val_loss`, `val_accuracy` and so on by epoch.
        best_epoch: the epoch, counted from 1, whose weights the model has now.
        phases: the number of epochs before each phase.
    """

    rows: tuple[EpochMetrics, ...]
    best_epoch: int
    phases: tuple[int, ...]


def fit_phases(
    phases: Iterable[Phase],
    *,
    training: TrainingConfig,
    label_smoothing: float,
    devices: Devices,
    on_epoch: Callable[[int, EpochMetrics, float], None],
    checkpoints: Checkpoints | None = None,
    show_progress: bool = True,
) -> History:
    """Train in one phase after another, and leave the weights of the best epoch of all of them.

    A training that was interrupted goes on from its newest checkpoint and ends as if it had not
    been, to the last bit on a CPU, if the phases are the same: all that is random is a function of
    the seed and the epoch, or has its state in the model.

    Args:
        phases: the models of later phases share weights with the first one's; each phase is asked
            for when the one before has ended and its best weights are back in place, or, where that
            was before the checkpoint, are about to be replaced by those of a later phase.
        training: the section of the recipe.
        label_smoothing: share of a label given to all classes.
        devices: what is trained on.
        on_epoch: is called with each epoch's number, from 1, its metrics and its seconds, once its
            checkpoint is kept; also for the epochs before the one that training goes on from.
        checkpoints: where to go on from, and what to keep.
        show_progress: whether to show each epoch on standard error.

    Raises:
        TrainingError: if the loss is no longer a number.
    """
    before = checkpoints.newest() if checkpoints else None
    best = BestEpoch(training.monitor)
    course = _EpochLog(best, checkpoints, on_epoch)
    if before:
        course.recall(before)
    for number, phase in enumerate(phases):
        if before and number < len(before.phases) - 1:
            continue
        resumed = before if before and number == len(before.phases) - 1 else None
        best.follow(phase.model)
        if resumed:
            model_state.assign(model_state.variables(phase.model), resumed.model)
            best.recall(resumed.best_epoch, resumed.best_value, resumed.best)
        else:
            course.starts.append(len(course.rows))
        _compile(phase, training, label_smoothing, devices)
        callbacks = _callbacks(phase.optimizer, training)
        if not (resumed and resumed.is_phase_over):
            _fit(phase, course, callbacks, resumed, show_progress=show_progress)
        best.restore()
    return History(tuple(course.rows), best.epoch, tuple(course.starts))


def fine_tuning_optimizer(optimizer: OptimizerConfig, fine_tune: FineTuneConfig) -> OptimizerConfig:
    """Return the optimizer of the fine-tuning phase: the same kind, at a slow constant rate."""
    changes = {"learning_rate": fine_tune.learning_rate, "schedule": None}
    return optimizer.model_copy(update=changes)


def steps_per_execution(steps_per_epoch: int) -> int:
    """Return how many training steps one call of the compiled function makes.

    It divides the epoch, because Keras runs the last call of an epoch in full.
    """
    limit = min(_MOST_STEPS_A_CALL, steps_per_epoch)
    return next(count for count in range(limit, 0, -1) if steps_per_epoch % count == 0)


class _EpochLog:
    """The epochs so far; tells of each once it is kept."""

    def __init__(
        self,
        best: BestEpoch,
        checkpoints: Checkpoints | None,
        on_epoch: Callable[[int, EpochMetrics, float], None],
    ) -> None:
        self.best = best
        self.rows: list[EpochMetrics] = []
        self.starts: list[int] = []
        self._seconds: list[float] = []
        self._told = 0
        self._checkpoints = checkpoints
        self._on_epoch = on_epoch

    def recall(self, checkpoint: Checkpoint) -> None:
        """Take over the epochs before an interruption."""
        self.rows = list(checkpoint.rows)
        self.starts = list(checkpoint.phases)
        self._seconds = list(checkpoint.seconds)
        self.tell()

    def add(
        self,
        row: EpochMetrics,
        seconds: float,
        model: keras.Model,
        callbacks: Sequence[Any],
        end: int,
    ) -> None:
        """Add an epoch of a phase that lasts until the epoch `end`, or until the model stops."""
        self.rows.append(row)
        self._seconds.append(seconds)
        if self._checkpoints:
            is_over = model.stop_training or len(self.rows) == end
            checkpoint = Checkpoint(
                rows=tuple(self.rows),
                seconds=tuple(self._seconds),
                phases=tuple(self.starts),
                is_phase_over=is_over,
                best_epoch=self.best.epoch,
                best_value=self.best.value,
                callbacks=[callback_state(callback) for callback in callbacks],
                model=model_state.values(model_state.variables(model)),
                optimizer=model_state.values(model.optimizer.variables),
                best=self.best.weights,
            )
            if not self._checkpoints.keep(checkpoint, now=is_over):
                return
        self.tell()

    def tell(self) -> None:
        """Tell of the epochs that were not told of yet."""
        while self._told < len(self.rows):
            self._told += 1
            number = self._told - 1
            self._on_epoch(self._told, self.rows[number], self._seconds[number])


def _compile(
    phase: Phase, training: TrainingConfig, label_smoothing: float, devices: Devices
) -> None:
    steps = phase.batches.steps_per_epoch
    phase.model.compile(
        optimizer=optimizers.build_optimizer(
            phase.optimizer, steps_per_epoch=steps, epochs=phase.epochs
        ),
        loss=loss_function(training.loss, label_smoothing=label_smoothing),
        metrics=running_metrics(training.loss, top_k=training.top_k),
        # Several steps in one call fail in TensorFlow where several devices share them.
        steps_per_execution=1 if devices.strategy else steps_per_execution(steps),
        # On CPUs XLA makes training two to twelve times slower.
        jit_compile="auto" if devices.on_gpu else False,
    )


def _fit(
    phase: Phase,
    course: _EpochLog,
    callbacks: Sequence[Any],
    resumed: Checkpoint | None,
    *,
    show_progress: bool,
) -> None:
    model, first = phase.model, len(course.rows)
    end = course.starts[-1] + phase.epochs
    if resumed:
        model.optimizer.build(model.trainable_variables)
        model_state.assign(model.optimizer.variables, resumed.optimizer)

    def record(epoch: int, row: EpochMetrics, seconds: float) -> None:
        course.add(row, seconds, model, callbacks, end)

    display = (
        ProgressDisplay(course.best, first_epoch=first, last_epoch=end) if show_progress else None
    )
    with deferred_signals() as is_asked_for:
        try:
            model.fit(
                phase.batches.training(first, end),
                steps_per_epoch=phase.batches.steps_per_epoch,
                initial_epoch=first,
                epochs=end,
                validation_data=phase.batches.validation,
                callbacks=[
                    *callbacks,
                    *([RestoreState(callbacks, resumed.callbacks)] if resumed else []),
                    StopOnNaN(),
                    course.best,
                    OnEpochEnd(record),
                    *([display] if display else []),
                    StopOnSignal(is_asked_for),
                ],
                shuffle=False,
                verbose=0,
            )
        finally:
            if display:
                display.close()
            course.tell()


def _callbacks(optimizer: OptimizerConfig, training: TrainingConfig) -> list[Any]:
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
