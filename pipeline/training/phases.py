"""Train a model with Keras's `fit`, in one phase or several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np

from pipeline.errors import DivergedError
from pipeline.metric_direction import metric_direction
from pipeline.shutdown import deferred_signals
from pipeline.training import model_state, optimizers, schedules
from pipeline.training.callbacks import (
    BestEpoch,
    EpochMetrics,
    StopAtZero,
    StopOnNaN,
    ValidationMetrics,
    restore_state,
    stop_on_signal,
)
from pipeline.training.checkpoints import Checkpoint, Checkpoints
from pipeline.training.compiled_model import CompiledModel
from pipeline.training.data_parallel import DataParallel
from pipeline.training.devices import Devices, translate_unsupported_precision
from pipeline.training.epoch_log import EpochLog
from pipeline.training.graph_steps import GraphSteps, steps_per_execution
from pipeline.training.layer_rates import LayerRates
from pipeline.training.layer_records import (
    SURFACE_PARAMETERS,
    LayerRecorder,
    ParameterRecorder,
    parameter_count,
)
from pipeline.training.losses import equivalent_loss, loss_function
from pipeline.training.optimizers import OptimizerConfig
from pipeline.training.progress_display import ProgressDisplay
from pipeline.training.time_budget import PhaseBudget, SchedulePace, TimeBudget
from pipeline.training.training_config import TrainingConfig
from pipeline.training.training_data import TrainingData
from pipeline.training.validation import Validation


@dataclass(frozen=True)
class Phase:
    """A part of the training with a model and an optimizer of its own.

    Attributes:
        model: a functional model.
        batches: the data that it is fitted to.
        epochs: the maximal number of passes over the training data.
        optimizer: the configuration of a new optimizer.
        compiled: keeps what is compiled for later trainings with the same settings and steps. Only
            the optimizer starts anew then, which saves most of the time of a short training. None:
            the model is compiled for this training alone, and may be saved afterwards.
        peak: a Keras variable in place of the learning rate of a schedule, so that a compiled model
            can be trained with another one; None for a constant.
        phases_after: the number of phases that follow, which share the time that is left.
        layer_rates: variables of the model with a factor of their learning rate.
        loss: a Keras loss; None for the one of the section `training`.
        stop_at_zero: a metric of the training images that ends the phase when it is 0.
    """

    model: keras.Model
    batches: TrainingData
    epochs: int
    optimizer: OptimizerConfig
    compiled: CompiledModel | None = None
    peak: Any = None
    phases_after: int = 0
    layer_rates: LayerRates = ()
    loss: Any = None
    stop_at_zero: str | None = None


@dataclass(frozen=True)
class History:
    """The metrics of a training.

    Attributes:
        rows: `loss`, `accuracy`, `val_loss`, `val_accuracy` and so on of each epoch, and the
            `learning_rate` that it started with.
        best_epoch: the epoch, counted from 1, whose weights the model has at the end; None without
            validation images: it has those of the last epoch.
        phases: the number of epochs before each phase.
        divergence: how the training diverged after the best epoch, empty if it did not.
        budget: how `training.budget` ended the training, empty if it did not.
    """

    rows: tuple[EpochMetrics, ...]
    best_epoch: int | None
    phases: tuple[int, ...]
    divergence: str = ""
    budget: str = ""

    @property
    def metrics(self) -> dict[str, float]:
        """The epochs that a run tells beside its metrics, counted from 1."""
        epochs = {"best_epoch": self.best_epoch} if self.best_epoch else {}
        if self.divergence:
            epochs["diverged_epoch"] = len(self.rows) + 1
        if self.budget:
            epochs["budget_epoch"] = len(self.rows)
        return {name: float(epoch) for name, epoch in epochs.items()}


def fit_phases(
    phases: Iterable[Phase],
    *,
    training: TrainingConfig,
    monitor: str | None,
    loss_metric: str,
    label_smoothing: float,
    output_scale: float,
    metrics: Callable[[], list[Any]],
    devices: Devices,
    on_epoch: Callable[[int, EpochMetrics, float], None],
    evaluate: Callable[[np.ndarray], EpochMetrics] | None = None,
    checkpoints: Checkpoints | None = None,
    shown_metric: str | None = None,
    budget: TimeBudget | None = None,
    observe: Callable[[int], None] = lambda epoch: None,
) -> History:
    """Train in one phase after another; the model ends with the weights of the best epoch of all.

    An interrupted training resumes from its latest checkpoint if the phases are the same. On a CPU
    its result is then bit-identical to that of an uninterrupted one: everything random is a
    function of the seed and the epoch, or has its state in the model.

    A training that diverges after an epoch with a finite monitored metric ends there, without the
    phases that would follow, and the model has the weights of the best epoch.

    A time budget ends a training after the step in which it is used up, and no phase starts after
    that. Each phase has at most an even share of the time that is left.

    Args:
        phases: models that share weights. Each phase is requested when the one before has ended
            and its best weights are restored, or, if it ended before the checkpoint, when its
            weights are about to be replaced by those of a later phase.
        training: the `training` section of the recipe.
        monitor: the metric that the best epoch is chosen by; None without validation images: the
            model ends with the weights of the last epoch.
        loss_metric: the metric that decides between equal epochs, the lower the better.
        label_smoothing: the fraction of a label that is spread over all classes.
        output_scale: of the outputs, where they are numbers.
        metrics: returns new Keras metrics over the outputs.
        devices: the devices to train on.
        on_epoch: called with the number of each epoch, from 1, its metrics and its seconds, once
            its checkpoint is saved. When a training resumes, also called for the epochs before.
        evaluate: returns the metrics of the outputs for the validation images, (n, units), that
            Keras does not compute; called in each epoch. None if there are none.
        checkpoints: where to resume from, and where to save.
        shown_metric: the name of the metric to show beside the loss, after each epoch on standard
            error; None to show nothing.
        budget: the time that the training may take; None without a limit.
        observe: called with the number of each epoch at its end, when the model has its weights.

    Raises:
        DivergedError: if the loss becomes NaN or infinite before the first epoch has ended, or
            without validation images.
        TrainingError: if the devices cannot compute in their precision.
    """
    checkpoint = checkpoints.latest() if checkpoints else None
    best = BestEpoch(monitor, loss_metric)
    log = EpochLog(best, checkpoints, on_epoch, observe)
    if checkpoint:
        log.load(checkpoint)
        if budget:
            budget.add_used(checkpoint.budget.used)
    last_saved = len(log.starts) - 1  # the number of the phase to resume
    divergence, is_over = "", False
    for number, phase in enumerate(phases):
        if number < last_saved:
            continue
        resumed = checkpoint if number == last_saved else None
        best.track(phase.model)
        if resumed:
            model_state.assign(model_state.variables(phase.model), resumed.model)
            best.load(resumed.best_epoch, resumed.rows[resumed.best_epoch - 1], resumed.best)
        else:
            log.starts.append(len(log.rows))
        if not (resumed and resumed.is_phase_over):
            loss = phase.loss or loss_function(
                training.loss, label_smoothing=label_smoothing, scale=output_scale
            )
            pace = SchedulePace() if budget else None
            compiled = _compile(phase, loss, metrics, devices, pace)
            model, validation = compiled.model, compiled.validation
            assert model is not None
            assert validation is not None
            phase_budget = None
            if budget and pace:
                phase_budget = PhaseBudget(
                    budget,
                    pace,
                    epochs=phase.epochs,
                    first_epoch=len(log.rows) - log.starts[-1],
                    steps_per_epoch=phase.batches.steps_per_epoch,
                    phases_after=phase.phases_after,
                    expected_evaluation=partial(
                        validation.expected_seconds, phase.batches.validation
                    ),
                    resumed=resumed.budget if resumed else None,
                )
            display = None
            if shown_metric:
                end = log.starts[-1] + phase.epochs
                display = ProgressDisplay(
                    best, shown_metric, first_epoch=len(log.rows), last_epoch=end, budget=budget
                )
            try:
                with translate_unsupported_precision(devices), deferred_signals() as is_signalled:
                    check = partial(_raise_if, is_signalled)
                    callbacks = _keras_callbacks(
                        phase, compiled, training, evaluate, check, loss_metric
                    )
                    _fit(model, phase, log, callbacks, resumed, phase_budget, display, check)
            except DivergedError as error:
                if not (monitor and best.epoch):
                    raise
                divergence = str(error)
            if phase.compiled is None:
                # A file of the model names its optimizer, its loss and its metrics. Only Keras's
                # own can be read everywhere.
                trained = model_state.values(model.optimizer.variables)
                loss = equivalent_loss(model.loss)
                saved = phase.model if isinstance(model, GraphSteps) else model
                optimizer = _optimizer(phase, saved=True)
                saved.compile(optimizer, loss, metrics=["accuracy"], jit_compile=model.jit_compile)
                if not divergence:  # after which they have NaN
                    # Keras may have wrapped it, to scale the loss.
                    saved.optimizer.build(model.trainable_variables)
                    model_state.assign(saved.optimizer.variables, trained)
        best.restore_weights()
        is_over = budget is not None and budget.left <= 0 and phase.phases_after > 0
        if divergence or is_over:
            break
    return History(
        tuple(log.rows),
        best.epoch if monitor else None,
        tuple(log.starts),
        divergence,
        log.describe_budget(training) if is_over or log.budget.has_ended else "",
    )


def _compile(
    phase: Phase,
    loss: Any,
    metrics: Callable[[], list[Any]],
    devices: Devices,
    pace: SchedulePace | None,
) -> CompiledModel:
    """Return the model to call `fit` of, which trains the variables of the phase's model."""
    compiled = phase.compiled or CompiledModel()
    if compiled.model and not devices.strategy and not pace:
        optimizer = compiled.model.optimizer
        model_state.assign(optimizer.variables, compiled.optimizer)
        if schedules.has_constant_peak(optimizers.schedule_of(phase.optimizer)):
            optimizer.learning_rate = phase.optimizer.learning_rate
        return compiled
    steps = phase.batches.steps_per_epoch
    model = phase.model
    if devices.strategy:
        model = DataParallel(model, devices.strategy)
    elif phase.batches.graph and not devices.on_gpu:
        model, steps = GraphSteps(model, phase.batches.graph), 1
    model.compile(
        optimizer=_optimizer(phase, pace=pace),
        loss=loss,
        metrics=metrics(),
        # With a budget, calls are short, because training ends between them.
        steps_per_execution=1 if pace and not devices.on_gpu else steps_per_execution(steps),
        # XLA compiles for one device, and on CPUs it makes training two to twelve times slower.
        jit_compile="auto" if devices.on_gpu and not devices.strategy else False,
    )
    # TensorFlow would trace the first step twice if that made the variables of the optimizer.
    model.optimizer.build(model.trainable_variables)
    compiled.model, compiled.validation = model, Validation(model)
    compiled.optimizer = model_state.values(model.optimizer.variables)
    return compiled


def _optimizer(
    phase: Phase, *, saved: bool = False, pace: SchedulePace | None = None
) -> keras.Optimizer:
    """Return a new optimizer.

    Args:
        phase: to optimize.
        saved: whether it is saved with the model, and so one of Keras's own classes.
        pace: of its schedule, None for its own.
    """
    return optimizers.build_optimizer(
        phase.optimizer,
        steps_per_epoch=phase.batches.steps_per_epoch,
        epochs=phase.epochs,
        peak=phase.peak,
        fused=not saved,
        pace=pace,
        layer_rates=() if saved else phase.layer_rates,
    )


def _fit(
    model: keras.Model,
    phase: Phase,
    log: EpochLog,
    callbacks: Sequence[Any],
    resumed: Checkpoint | None,
    budget: PhaseBudget | None,
    display: ProgressDisplay | None,
    check: Callable[[], None],
) -> None:
    first, end = len(log.rows), log.starts[-1] + phase.epochs
    if resumed:
        model.optimizer.build(model.trainable_variables)
        model_state.assign(model.optimizer.variables, resumed.optimizer)

    variables = model_state.variables(phase.model)
    log.set_phase(variables, epochs=phase.epochs, callbacks=callbacks, budget=budget)
    batches = phase.batches
    graph = batches.graph if isinstance(model, GraphSteps) else None
    try:
        model.fit(
            graph.chunks(first, end) if graph else batches.training(first, end),
            steps_per_epoch=graph.chunks_per_epoch if graph else batches.steps_per_epoch,
            initial_epoch=first,
            epochs=end,
            callbacks=[
                *callbacks,
                *([restore_state(callbacks, resumed.callbacks)] if resumed else []),
                StopOnNaN(),
                log.best,
                *([budget] if budget else []),
                log,
                *([display] if display else []),
                stop_on_signal(check),
            ],
            shuffle=False,
            verbose=0,
        )
    finally:
        if display:
            display.close()
        log.report()


def _raise_if(is_signalled: Callable[[], bool]) -> None:
    """Raise KeyboardInterrupt if a signal has arrived."""
    if is_signalled():
        raise KeyboardInterrupt


def _keras_callbacks(
    phase: Phase,
    compiled: CompiledModel,
    training: TrainingConfig,
    evaluate: Callable[[np.ndarray], EpochMetrics] | None,
    check: Callable[[], None],
    loss_metric: str,
) -> list[Any]:
    callbacks: list[Any] = []
    if phase.optimizer.use_ema:  # first: the other callbacks must see the averaged weights
        callbacks.append(keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
    batches = phase.batches
    if batches.validation is not None:
        assert compiled.validation is not None
        validate = partial(compiled.validation.run, batches.validation, check)
        callbacks.append(ValidationMetrics(validate, evaluate))
    schedule = optimizers.schedule_of(phase.optimizer)
    callbacks += schedules.callbacks(schedule, loss_metric=loss_metric)
    if phase.stop_at_zero:
        callbacks.append(StopAtZero(phase.stop_at_zero))
    stopping = training.early_stopping
    if stopping and stopping.patience:
        mode = metric_direction(stopping.monitor)
        callbacks.append(keras.callbacks.EarlyStopping(**stopping.model_dump(), mode=mode))
    if training.recorded_layers:
        assert compiled.model is not None
        examples, loss = batches.training(0, 1), compiled.model.loss
        callbacks.append(LayerRecorder(phase.model, loss, examples, training.recorded_layers))
    if "surface" in training.record and parameter_count(phase.model) == SURFACE_PARAMETERS:
        callbacks.append(ParameterRecorder(phase.model))
    return callbacks
