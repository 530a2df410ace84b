"""A training ends in its time budget, with its learning rate schedule at its end."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import keras
import pytest

from pipeline.training.time_budget import PhaseBudget, SchedulePace, TimeBudget

STEPS = 10  # in an epoch


class Clock:
    """The time, as a simulated training spends it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def simulate(
    clock: Clock,
    phase: PhaseBudget,
    *,
    epochs: int,
    first_epoch: int = 0,
    compiling: float = 0.0,
    step: Callable[[int], float] = lambda done: 1.0,
    evaluation: float = 0.0,
) -> int:
    """Call a callback as `fit` would, with these seconds; return the number of steps."""
    optimizer = SimpleNamespace(iterations=first_epoch * STEPS, gradient_accumulation_steps=None)
    model = SimpleNamespace(optimizer=optimizer, stop_training=False)
    phase.set_model(model)
    clock.now += compiling
    for epoch in range(first_epoch, epochs):
        phase.on_epoch_begin(epoch)
        for batch in range(STEPS):
            clock.now += step(optimizer.iterations)
            optimizer.iterations += 1
            phase.on_train_batch_end(batch)
            if model.stop_training:
                break
        clock.now += evaluation
        phase.on_epoch_end(epoch)
        if model.stop_training:
            break
    return optimizer.iterations


def phase_of(budget: TimeBudget, pace: SchedulePace, **changes: Any) -> PhaseBudget:
    settings: dict[str, Any] = {
        "epochs": 20,
        "first_epoch": 0,
        "steps_per_epoch": STEPS,
        "phases_after": 0,
    }
    return PhaseBudget(budget, pace, **{**settings, **changes})


def test_without_lack_of_time_nothing_changes(clock: Clock) -> None:
    budget, pace = TimeBudget(1000.0), SchedulePace()
    phase = phase_of(budget, pace)
    assert simulate(clock, phase, epochs=20, compiling=30, evaluation=5) == 200
    assert not phase.has_ended
    assert [float(pace.position(step)) for step in (0, 7, 199)] == [0, 7, 199]


@pytest.mark.parametrize(("compiling", "evaluation"), [(0.0, 0.0), (20.0, 3.0)])
def test_training_ends_in_time_with_its_schedule(
    clock: Clock, compiling: float, evaluation: float
) -> None:
    budget, pace = TimeBudget(100.0), SchedulePace()
    phase = phase_of(budget, pace)
    steps = simulate(clock, phase, epochs=20, compiling=compiling, evaluation=evaluation)
    assert phase.has_ended
    assert 100 - 2 <= budget.used <= 100 + 1
    assert float(pace.position(steps)) == pytest.approx(200, abs=4)


def test_slow_steps_change_the_plan(clock: Clock) -> None:
    budget, pace = TimeBudget(100.0), SchedulePace()
    phase = phase_of(budget, pace)
    steps = simulate(clock, phase, epochs=20, step=lambda done: 3.0 if 30 <= done < 40 else 1.0)
    assert steps == 79  # another one is expected to take more than the last second
    assert budget.used == 99
    assert float(pace.position(steps)) == pytest.approx(200, abs=8)


def test_an_epoch_that_takes_longer_than_the_budget_is_cut(clock: Clock) -> None:
    budget, pace = TimeBudget(6.0), SchedulePace()
    phase = phase_of(budget, pace)
    assert simulate(clock, phase, epochs=20) == 6
    assert (phase.has_ended, phase.part) == (True, 0.6)


def test_no_epoch_begins_for_a_few_steps(clock: Clock) -> None:
    budget, pace = TimeBudget(40.5), SchedulePace()
    phase = phase_of(budget, pace)
    assert simulate(clock, phase, epochs=20) == 40
    assert (phase.has_ended, phase.part) == (True, 1.0)


def test_a_first_phase_leaves_half_of_the_time(clock: Clock) -> None:
    budget, pace = TimeBudget(100.0), SchedulePace()
    first = phase_of(budget, pace, phases_after=1)
    assert simulate(clock, first, epochs=20) == 50
    second = phase_of(budget, SchedulePace())
    assert simulate(clock, second, epochs=20) == 50


def test_a_resumed_training_keeps_its_time_and_its_place_in_the_schedule(clock: Clock) -> None:
    budget, pace = TimeBudget(100.0), SchedulePace()
    phase = phase_of(budget, pace)
    simulate(clock, phase, epochs=6)
    state = phase.state(has_ended=False)
    assert state.used == 60
    assert state.position == pytest.approx(120, abs=3)
    clock.now += 10_000  # the interruption
    budget, pace = TimeBudget(100.0), SchedulePace()
    budget.add_used(state.used)
    resumed = phase_of(budget, pace, first_epoch=6, resumed=state)
    assert float(pace.position(60)) == pytest.approx(state.position)
    assert simulate(clock, resumed, epochs=20, first_epoch=6) == 100
    assert float(pace.position(100)) == pytest.approx(200, abs=4)


def test_a_schedule_is_followed_at_its_pace() -> None:
    pace = SchedulePace()
    decay = keras.optimizers.schedules.PiecewiseConstantDecay([49], [1.0, 0.1])
    rate = pace.follow(decay)
    assert float(rate(25)) == 1.0
    pace.set(20, 20.0, 6.0)
    assert float(rate(24)) == 1.0
    assert float(rate(25)) == pytest.approx(0.1)


def test_the_first_plan_is_announced(clock: Clock, messages: list[str]) -> None:
    simulate(clock, phase_of(TimeBudget(80.0), SchedulePace()), epochs=20)
    assert messages == [
        "training.budget allows about 8.0 of 20 epochs. The learning rate schedule, if there is "
        "one, is shortened to end with them."
    ]


@pytest.mark.parametrize("per_call", [1, 3])
def test_the_first_epoch_ends_with_time_for_its_evaluation(clock: Clock, per_call: int) -> None:
    budget, pace = TimeBudget(9.0), SchedulePace()
    phase = phase_of(budget, pace, expected_evaluation=lambda: 2.0)
    optimizer = SimpleNamespace(iterations=0, gradient_accumulation_steps=None)
    phase.set_model(SimpleNamespace(optimizer=optimizer, stop_training=False))
    phase.on_epoch_begin(0)
    while not phase.has_ended:
        clock.now += per_call
        optimizer.iterations += per_call
        phase.on_train_batch_end(optimizer.iterations)
    clock.now += 2
    phase.on_epoch_end(0)
    assert budget.used == {1: 9, 3: 8}[per_call]


def test_saving_an_epoch_is_part_of_its_evaluation(clock: Clock) -> None:
    budget, pace = TimeBudget(29.0), SchedulePace()
    phase = phase_of(budget, pace)
    optimizer = SimpleNamespace(iterations=0, gradient_accumulation_steps=None)
    phase.set_model(SimpleNamespace(optimizer=optimizer, stop_training=False))
    for epoch in range(2):
        phase.on_epoch_begin(epoch)
        while not (phase.has_ended or optimizer.iterations == STEPS * (epoch + 1)):
            clock.now += 1
            optimizer.iterations += 1
            phase.on_train_batch_end(optimizer.iterations)
        clock.now += 1  # the evaluation
        phase.on_epoch_end(epoch)
        clock.now += 4  # the checkpoint
    assert (phase.has_ended, budget.used) == (True, 29)
