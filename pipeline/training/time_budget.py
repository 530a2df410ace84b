"""A time budget: it ends a training in time, with the learning rate schedule at its end.

A schedule is passed through faster where the time is too short for all epochs, so that its last
learning rates, which a model gains most from, are reached (Li, Yumer and Ramanan, 2020, "Budgeted
Training").
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import keras

from pipeline.training.checkpoints import BudgetState

logger = logging.getLogger(__name__)

_MEASURED = 0.05  # of the time of a phase, after which its speed is known; or after an epoch
_PLANS = 200  # in the time of a phase
_MIN_PART = 0.1  # of an epoch; less is not worth an evaluation


class TimeBudget:
    """The time that a training may take, in one process or in several one after another."""

    def __init__(self, seconds: float) -> None:
        """Start the clock.

        Args:
            seconds: that the training may take.
        """
        self.seconds = seconds
        self._started = time.monotonic()

    def add_used(self, seconds: float) -> None:
        """Add the time that the training took before it was interrupted."""
        self._started -= seconds

    @property
    def used(self) -> float:
        """The seconds that the training has taken."""
        return time.monotonic() - self._started

    @property
    def left(self) -> float:
        """The seconds that it may still take, below 0 if it has taken too long."""
        return self.seconds - self.used


class SchedulePace:
    """How fast a learning rate schedule is passed through, as a linear function of the step."""

    def __init__(self) -> None:
        # From a step on, the position there, and its change with each step.
        self._line = keras.Variable([0.0, 0.0, 1.0], dtype="float32", trainable=False)

    def position(self, step: Any) -> Any:
        """Return the step of the schedule whose learning rate a training step has."""
        start, position = self._line[0], self._line[1]
        return position + self.speed * (keras.ops.cast(step, "float32") - start)

    @property
    def speed(self) -> Any:
        """The steps of the schedule in each training step."""
        return self._line[2]

    def set(self, step: int, position: float, speed: float) -> None:
        """Go on from a step at this position, with this speed."""
        self._line.assign([step, position, speed])

    def follow(self, rate: Any) -> Any:
        """Return a Keras schedule with the learning rates of another one, at this pace."""
        pace = self

        class Paced(keras.optimizers.schedules.LearningRateSchedule):
            def __call__(self, step: Any) -> Any:
                return rate(pace.position(step))

            def get_config(self) -> dict[str, Any]:
                return {"rate": rate}

        return Paced()


class PhaseBudget(keras.callbacks.Callback):
    """End a phase of training in its share of the time, and plan its learning rates.

    Between two calls of the compiled function, the phase ends if the next one and the evaluation
    of the epoch would end too late. The first call, which compiles it, does not count in the speed.

    It must come before callbacks that ask whether training stops after an epoch.

    Attributes:
        has_ended: whether the time was too short for the phase.
        part: the share of the last epoch's steps that were trained.
    """

    def __init__(
        self,
        budget: TimeBudget,
        pace: SchedulePace,
        *,
        epochs: int,
        first_epoch: int,
        steps_per_epoch: int,
        phases_after: int,
        expected_evaluation: Callable[[], float] = lambda: 0.0,
        resumed: BudgetState | None = None,
    ) -> None:
        """Start the phase. The time left is divided evenly among it and those after it.

        Args:
            budget: of the training.
            pace: of the phase's learning rate schedule.
            epochs: of the phase.
            first_epoch: the number of epochs of the phase that are trained already.
            steps_per_epoch: training steps in an epoch.
            phases_after: the number of phases that follow.
            expected_evaluation: returns about how many seconds the evaluation of an epoch takes;
                called after the first call of the compiled function.
            resumed: where the phase was interrupted; None for one that starts.
        """
        super().__init__()
        self.has_ended, self.part = False, 1.0
        self._budget, self._pace = budget, pace
        self._share = budget.left / (1 + phases_after)
        self._deadline = resumed.deadline if resumed else budget.used + self._share
        self._per_epoch, self._epochs = steps_per_epoch, epochs
        self._step = first_epoch * steps_per_epoch
        self._total = epochs * steps_per_epoch
        if resumed:
            pace.set(self._step, resumed.position, resumed.speed)
        # Of the steps after the first call.
        self._measured_from: int | None = None
        self._training_seconds = 0.0
        self._expected_evaluation = expected_evaluation
        self._evaluation = 0.0  # seconds, of the last one and of saving its epoch
        self._call = 0  # steps of the last call
        self._since = self._next_plan = 0.0
        self._is_announced = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        now = self._budget.used
        if self._evaluation:  # the epoch before was saved in the meantime
            self._evaluation += now - self._since
        self._since = now

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = self._budget.used
        # Keras may have wrapped it, to scale the loss.
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        step = int(optimizer.iterations) * (optimizer.gradient_accumulation_steps or 1)
        self._step, self._call = step, max(step - self._step, 1)
        if self._measured_from is None:
            self._measured_from = self._step
            self._evaluation = self._expected_evaluation()
            now = self._budget.used
            self._next_plan = now + _MEASURED * self._share
        else:
            self._training_seconds += now - self._since
        self._since = now
        if now >= self._next_plan:
            self._plan(now, is_evaluated=False)
        if self._step < self._total:
            call = min(self._call, -self._step % self._per_epoch) * self._step_seconds
            if now + call + self._evaluation > self._deadline:
                self._end()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        now = self._budget.used
        self._evaluation, self._since = now - self._since, now
        if not self.has_ended:  # Keras counts only whole accumulations of gradients
            self._step = -(-self._step // self._per_epoch) * self._per_epoch
        done = self._step % self._per_epoch
        self.part = done / self._per_epoch if done else 1.0
        if self._step >= self._total or self.model.stop_training:
            return
        steps = self._plan(now, is_evaluated=True)
        if now >= self._deadline or steps < max(_MIN_PART * self._per_epoch, 1.0):
            self._end()

    def state(self, *, has_ended: bool) -> BudgetState:
        """Return the state to resume from.

        Args:
            has_ended: whether the time was too short for an earlier phase.
        """
        return BudgetState(
            used=self._budget.used,
            deadline=self._deadline,
            position=float(self._pace.position(self._step)),
            speed=float(self._pace.speed),
            has_ended=has_ended or self.has_ended,
            part=self.part,
        )

    @property
    def _step_seconds(self) -> float:
        measured = self._step - (self._measured_from or 0)
        return self._training_seconds / measured if self._training_seconds else 0.0

    def _end(self) -> None:
        self.has_ended = self.model.stop_training = True

    def _plan(self, now: float, *, is_evaluated: bool) -> float:
        """Plan the learning rates of the rest of the phase; return the steps that are left.

        Args:
            now: seconds of the budget that are used.
            is_evaluated: whether the epoch has ended and its evaluation too.
        """
        remaining = self._total - self._step
        self._next_plan = now + self._share / _PLANS
        affordable = self._affordable(self._deadline - now, is_evaluated=is_evaluated)
        steps = min(affordable, remaining)
        position = float(self._pace.position(self._step))
        if steps < remaining or position > self._step:
            self._pace.set(self._step, position, (self._total - position) / max(steps, 1.0))
        if steps < remaining and not self._is_announced:
            self._is_announced = True
            epochs = (self._step + steps) / self._per_epoch
            logger.info(
                f"training.budget allows about {epochs:.1f} of {self._epochs} epochs. The learning "
                "rate schedule, if there is one, is shortened to end with them."
            )
        return steps

    def _affordable(self, seconds: float, *, is_evaluated: bool) -> float:
        """Return how many steps there is time for, with an evaluation after each epoch."""
        step_seconds = max(self._step_seconds, 1e-9)
        steps = 0
        if not is_evaluated:
            steps = -self._step % self._per_epoch  # of this epoch
            within = (seconds - self._evaluation) / step_seconds
            if within <= steps:
                return max(within, 0.0)
            seconds -= steps * step_seconds + self._evaluation
        epoch_seconds = self._per_epoch * step_seconds + self._evaluation
        epochs, rest = divmod(max(seconds, 0.0), epoch_seconds)
        part = (rest - self._evaluation) / step_seconds / self._per_epoch
        return steps + (epochs + (part if part >= _MIN_PART else 0.0)) * self._per_epoch
