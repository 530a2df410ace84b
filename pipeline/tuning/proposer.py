"""What to try next: KerasTuner's oracles, driven one proposal at a time and kept in memory.

The truth of a search is the journal that its trials are written to. An oracle is built anew from
it: proposals are handed in again in the order in which they were made, with their scores, so that
what comes next depends on the seed, the number of the trial and the finished results alone.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import keras_tuner
import numpy as np
from keras_tuner import oracles
from keras_tuner.engine import trial as trials
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import kernels

from pipeline.metric_direction import Direction
from pipeline.tuning.search_space import SearchSpace
from pipeline.tuning.tuning_config import Tuner

Numbers = dict[str, float | int]

_OBJECTIVE = "objective"
_EPOCHS = "tuner/epochs"
_FACTOR = 3  # hyperband keeps one trial in three
_RESTARTS = 4  # of the fit of the Gaussian process
_LENGTHS = (0.1, 10.0)  # over which a score changes, as a share of a parameter's range
_CANDIDATES = 1024  # points at which the bound is asked for at once
_KEPT = 16  # of them, whose neighbourhood is looked at next
_REACHES = (0.1, 0.03, 0.01)  # of each neighbourhood in turn
_SEED_STRIDE = 100_003  # between the random numbers of one trial and of the next


@dataclass(frozen=True)
class Proposal:
    """What to try.

    Attributes:
        key: what the oracle calls it.
        numbers: by path; `pipeline.tuning.search_space.decode` makes values of a recipe of them.
        epochs: how long to train, None for as long as the recipe says.
    """

    key: str
    numbers: Numbers
    epochs: int | None


class Proposer:
    """Proposes trials, and learns from their scores."""

    def __init__(
        self, tuner: Tuner, space: SearchSpace, *, direction: Direction, seed: int, epochs: int
    ) -> None:
        """Prepare to propose.

        Args:
            tuner: the algorithm.
            space: what to choose from.
            direction: of the scores.
            seed: of the proposals.
            epochs: the most that a trial is trained for.
        """
        self._tuner = tuner
        self._seed = seed
        arguments = {
            "objective": keras_tuner.Objective(_OBJECTIVE, direction),
            "hyperparameters": _hyperparameters(space),
            "seed": seed + 1,  # KerasTuner takes 0 for none
            "allow_new_entries": False,
            "tune_new_entries": False,
            "max_consecutive_failed_trials": 10**9,  # the search has a rule of its own
        }
        if tuner == "hyperband":
            self._oracle: Any = _Hyperband(
                max_epochs=epochs, factor=_FACTOR, hyperband_iterations=None, **arguments
            )
        else:
            kind = {"random": _RandomSearch, "bayesian": _Bayesian, "grid": _Grid}[tuner]
            self._oracle = kind(max_trials=None, **arguments)
        self._oracle.verbose = 0

    def ask(self, worker: str, number: int) -> Proposal | Literal["wait"] | None:
        """Return the next proposal for a worker.

        Args:
            worker: who is going to run it.
            number: of the trial; with the seed it determines what is drawn at random.

        Returns:
            `wait` where others have to finish first, None where nothing is left to try.
        """
        self._oracle._seed_state = self._seed + number * _SEED_STRIDE
        if self._tuner == "bayesian":
            self._oracle._random_state = np.random.RandomState((self._seed, number))
        trial = self._oracle.create_trial(worker)
        if trial.status == trials.TrialStatus.IDLE:
            return "wait"
        if trial.status == trials.TrialStatus.STOPPED:
            return None
        return _proposal(trial)

    def ask_at_random(self, worker: str, number: int) -> Proposal | None:
        """Return a proposal that was not made before, None where there is none left."""
        self._oracle._seed_state = self._seed + number * _SEED_STRIDE
        values = self._oracle._random_values()
        return None if values is None else self._repeat(worker, values)

    def repeat(self, worker: str, number: int, proposal: Proposal) -> None:
        """Make a proposal again that was made in an earlier session."""
        if self._tuner in ("random", "bayesian"):  # no state but the trials themselves
            self._repeat(worker, dict(proposal.numbers))
        else:
            self.ask(worker, number)

    def tell(self, proposal: Proposal, score: float | None) -> None:
        """Report the score of a proposal, None where it failed."""
        trial = self._oracle.trials[proposal.key]
        if score is None:
            trial.status = trials.TrialStatus.FAILED
        else:
            self._oracle.update_trial(proposal.key, {_OBJECTIVE: score})
            trial.status = trials.TrialStatus.COMPLETED
        self._oracle.end_trial(trial)

    def give_up(self, worker: str) -> None:
        """Take a proposal back from a worker that is gone; the next one who asks gets it."""
        trial = self._oracle.ongoing_trials.pop(worker, None)
        if trial is not None:
            self._oracle._retry_queue.append(trial.trial_id)

    def observe(self, numbers: Mapping[str, float | int], score: float) -> None:
        """Report the score of what was not proposed, such as the recipe as it stands."""
        hyperparameters = self._oracle.hyperparameters.copy()
        hyperparameters.values = dict(numbers)
        trial = trials.Trial(hyperparameters, "as_it_stands", trials.TrialStatus.COMPLETED)
        trial.score = score
        if self._tuner == "bayesian":  # the others do not learn from a trial that is not theirs
            self._oracle.trials[trial.trial_id] = trial
        self._oracle._record_values(trial)

    def _repeat(self, worker: str, values: dict[str, Any]) -> Proposal:
        made = {"status": trials.TrialStatus.RUNNING, "values": values}
        self._oracle.populate_space = lambda _: made
        try:
            return _proposal(self._oracle.create_trial(worker))
        finally:
            del self._oracle.populate_space


def _proposal(trial: Any) -> Proposal:
    values = trial.hyperparameters.values
    numbers = {path: value for path, value in values.items() if not path.startswith("tuner/")}
    return Proposal(trial.trial_id, numbers, values.get(_EPOCHS))


def _hyperparameters(space: SearchSpace) -> keras_tuner.HyperParameters:
    """Return a space as KerasTuner writes it; a choice is a choice among its places."""
    found = keras_tuner.HyperParameters()
    for dimension in space:
        keys = dimension.keys
        with contextlib.ExitStack() as conditions:
            for parent, places in dimension.conditions:
                conditions.enter_context(found.conditional_scope(parent, list(places)))
            if keys.choice is not None:
                found.Choice(dimension.path, list(range(len(keys.choice))), ordered=False)
                continue
            low, high = keys.range or keys.log  # type: ignore[misc]
            (found.Int if keys.is_whole else found.Float)(
                dimension.path,
                low,
                high,
                step=keys.step,
                sampling="log" if keys.log else "linear",
            )
    found.values = {}  # those that were filled in on the way
    return found


class _InMemory:
    """An oracle that writes no files: the journal holds what matters."""

    def save(self) -> None:
        pass

    def _save_trial(self, trial: Any) -> None:
        pass


class _RandomSearch(_InMemory, oracles.RandomSearchOracle):
    pass


class _Bayesian(_InMemory, oracles.BayesianOptimizationOracle):
    """KerasTuner's Gaussian process and its bound, minimised in a hundredth of the time.

    KerasTuner descends from 50 random points with numerical gradients, one prediction at a time.
    Here many points are predicted at once, and the neighbourhood of the best ones in turn.
    """

    def _make_gpr(self) -> Any:
        # Noise could be explained by a length of nothing, and then nothing would be learnt.
        kernel = kernels.Matern(nu=2.5, length_scale_bounds=_LENGTHS)
        return super()._make_gpr().set_params(kernel=kernel, n_restarts_optimizer=_RESTARTS)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        completed = [trial for trial in self.trials.values() if trial.status == "COMPLETED"]
        dimensions = len(self.hyperparameters.space)
        if len(completed) < 3 * dimensions:
            return self._random_populate_space()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # at a bound, which is meant
            self.gpr.fit(*self._vectorize_trials())

        def bound(points: np.ndarray) -> np.ndarray:
            mean, spread = self.gpr.predict(points, return_std=True)
            return mean - self.beta * spread

        points = self._random_state.uniform(size=(_CANDIDATES, dimensions))
        for reach in _REACHES:
            best = points[np.argsort(bound(points))[:_KEPT]]
            moves = self._random_state.normal(0, reach, (_CANDIDATES // _KEPT, *best.shape))
            points = np.concatenate([best, (best + moves).reshape(-1, dimensions).clip(0, 1)])
        return {
            "status": trials.TrialStatus.RUNNING,
            "values": self._vector_to_values(points[np.argmin(bound(points))]),
        }


class _Hyperband(_InMemory, oracles.HyperbandOracle):
    pass


class _Grid(_InMemory, oracles.GridSearchOracle):
    pass
