"""What to try next: one oracle for each tuner of a recipe, over the parameters of KerasTuner.

A proposal depends on the seed, the number of the trial and the results so far alone. The results
are passed in with every call, so that the journal of a search is all that has to be stored. A
`keras_tuner.Oracle` stores them itself, in files.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import keras_tuner
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor, kernels
from threadpoolctl import ThreadpoolController

from pipeline.metric_direction import Direction
from pipeline.tuning.hyperband_rounds import rounds_of
from pipeline.tuning.search_space import Numbers, SearchSpace, exists
from pipeline.tuning.tuning_config import Tuner

EPOCHS = "tuner/epochs"  # the names that KerasTuner's Hyperband gives these
_BRACKET = "tuner/bracket"
_PARENT = "tuner/trial_id"  # the index of the result that a trial trains for longer


@dataclass(frozen=True)
class ProposalResult:
    """The result of a proposal.

    Attributes:
        proposal: by path; hyperband adds `tuner/epochs`, the epochs to train for, and more.
        score: the objective, None where the trial failed or is running.
        is_running: whether the trial has yet to end.
    """

    proposal: Numbers
    score: float | None = None
    is_running: bool = False


class SeededOracle:
    """Random search, and the base class of the other tuners."""

    def __init__(
        self, space: SearchSpace, *, direction: Direction, seed: int, max_epochs: int
    ) -> None:
        """Describe the search.

        Args:
            space: the parameters to choose values for.
            direction: of the objective.
            seed: of the proposals.
            max_epochs: epochs of a trial that is trained in full.
        """
        self.space = space
        self.parameters = _hyperparameters(space).space
        self.direction = direction
        self.seed = seed
        self.max_epochs = max_epochs

    def propose(self, number: int, draw: int, results: Sequence[ProposalResult]) -> Numbers | None:
        """Return what to try, None where nothing is left to try.

        Args:
            number: of the trial; with the seed and `draw` it determines the random numbers.
            draw: the number of earlier proposals for this trial, which had been tried already.
            results: of all proposals, in order.
        """
        self.draw = draw
        self.results = results
        self.generator = np.random.default_rng([self.seed, number, draw])
        return self.next_numbers()

    def next_numbers(self) -> Numbers | None:
        """Return what `propose` returns, from what it was called with."""
        return self.random_numbers()

    def random_numbers(self) -> Numbers:
        """Return a random point of the space."""
        return self.numbers_at(self.generator.uniform(size=len(self.space)))

    def numbers_at(self, point: np.ndarray) -> Numbers:
        """Return the numbers at a point of the unit cube, of shape (parameters,)."""
        numbers: Numbers = {}
        for dimension, parameter, share in zip(self.space, self.parameters, point, strict=True):
            if exists(dimension, numbers):
                numbers[dimension.path] = parameter.prob_to_value(float(share))
        return numbers


class GridOracle(SeededOracle):
    """Every combination: each choice and step, and 11 values of a range without steps."""

    def next_numbers(self) -> Numbers | None:
        tried = [result.proposal for result in self.results]
        untried = (numbers for numbers in self._combinations({}, 0) if numbers not in tried)
        return next(untried, None)

    def _combinations(self, numbers: Numbers, index: int) -> Iterator[Numbers]:
        """Yield each way to complete the numbers of the parameters before `index`."""
        if index == len(self.space):
            yield numbers
            return
        dimension, parameter = self.space[index], self.parameters[index]
        if not exists(dimension, numbers):
            yield from self._combinations(numbers, index + 1)
            return
        for number in [parameter.default, *sorted(set(parameter.values) - {parameter.default})]:
            yield from self._combinations({**numbers, dimension.path: number}, index + 1)


class BayesianOracle(SeededOracle):
    """A Gaussian process with an upper confidence bound, after a few random trials.

    As in `keras_tuner.oracles.BayesianOptimizationOracle`, but the bound is computed for many
    points at once instead of by gradient descent, one prediction at a time: a hundred times faster.
    The time of a fit grows with the cube of the observations, so their number is bounded. A trial
    that failed counts as the worst one, so that the trials after it are elsewhere.
    """

    beta = 2.6  # standard deviations in the bound: the weight of exploration
    noise = 1e-4  # variance of the scores
    length_scales = (0.1, 10.0)  # bounds; a length of 0 would explain all scores as noise
    restarts = 4  # of the fit
    max_fitted = 150  # observations that the length scale is fitted to
    max_observed = 400  # observations of the process
    candidates = 1024  # points at which the bound is computed at once
    best = 16  # of them, whose neighborhoods are searched next
    radii = (0.1, 0.03, 0.01)  # of each neighborhood in turn

    @cached_property
    def _threads(self) -> ThreadpoolController:
        return ThreadpoolController()  # it looks for the libraries of the process, which takes time

    def next_numbers(self) -> Numbers:
        completed = sum(result.score is not None for result in self.results)
        size = len(self.space)
        if self.draw or completed < 3 * size:
            return self.random_numbers()
        # Threads that wait for each other take ten times as long where the processors are busy.
        with self._threads.limit(limits=1, user_api="blas"):
            return self.numbers_at(self._best_point(size))

    def _best_point(self, size: int) -> np.ndarray:
        """Return the point with the lowest bound, (parameters,)."""
        model = self._model()

        def bound(points: np.ndarray) -> np.ndarray:
            mean, deviation = model.predict(points, return_std=True)
            return mean - self.beta * deviation

        points = self.generator.uniform(size=(self.candidates, size))
        for radius in self.radii:
            best = points[np.argsort(bound(points))[: self.best]]
            moves = self.generator.normal(0, radius, (self.candidates // self.best, *best.shape))
            points = np.concatenate([best, (best + moves).reshape(-1, size).clip(0, 1)])
        best_point: np.ndarray = points[np.argmin(bound(points))]
        return best_point

    def _model(self) -> GaussianProcessRegressor:
        """Return the process fitted to the scores so far, in which lower is better."""
        points, scores = self._observations()
        chosen = _most_informative(scores, self.max_observed)
        points, scores = points[chosen], scores[chosen]
        fitted = _most_informative(scores, self.max_fitted)
        model = GaussianProcessRegressor(
            kernels.Matern(nu=2.5, length_scale_bounds=self.length_scales),
            alpha=self.noise,
            n_restarts_optimizer=self.restarts,
            normalize_y=True,
            random_state=self.seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound is fine
            model.fit(points[fitted], scores[fitted])
        model.set_params(kernel=model.kernel_, optimizer=None)
        if len(fitted) < len(points):
            model.fit(points, scores)
        running = [self._point_of(result.proposal) for result in self.results if result.is_running]
        if running:  # assume poor scores, so that other trials are proposed meanwhile
            mean, deviation = model.predict(np.array(running), return_std=True)
            model.fit([*points, *running], [*scores, *(mean + deviation)])
        return model

    def _observations(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the points of the trials that have ended, (n, parameters), and scores, (n,)."""
        sign = -1 if self.direction == "max" else 1
        ended = [result for result in self.results if not result.is_running]
        scores = np.array([sign * (math.nan if r.score is None else r.score) for r in ended])
        scores[np.isnan(scores)] = np.nanmax(scores)
        return np.array([self._point_of(result.proposal) for result in ended]), scores

    def _point_of(self, numbers: Numbers) -> list[float]:
        return [
            parameter.value_to_prob(numbers.get(parameter.name, parameter.default))
            for parameter in self.parameters
        ]


def _most_informative(scores: np.ndarray, limit: int) -> np.ndarray:
    """Return the indices of the best scores, and of others evenly spaced by rank, (at most limit,).

    The others say where not to look again.
    """
    if len(scores) <= limit:
        return np.arange(len(scores))
    best, others = np.split(np.argsort(scores, kind="stable"), [limit // 2])
    spaced = np.linspace(0, len(others) - 1, limit - len(best)).astype(int)
    return np.sort(np.concatenate([best, others[spaced]]))


class HyperbandOracle(SeededOracle):
    """Brackets of short trials; the best third of each round is trained for longer.

    Source: Li et al. (2018), https://jmlr.org/papers/v18/16-558.html. A trial is promoted as soon
    as it is certain to be among the best of its round, and a new bracket starts when none can be,
    so that no worker waits. A trial that failed is worse than all others.
    """

    def next_numbers(self) -> Numbers:
        proposals = (self._next_of(bracket) for bracket in itertools.count())
        return next(proposal for proposal in proposals if proposal)

    def _next_of(self, bracket: int) -> Numbers | None:
        """Return the next trial of a bracket, None where none can be started now."""
        rounds = rounds_of(bracket, self.max_epochs)
        members = [self._members_of(bracket, epochs) for _, epochs in rounds]
        if len(members[0]) < rounds[0][0]:
            return {**self.random_numbers(), EPOCHS: rounds[0][1], _BRACKET: bracket}
        best = max if self.direction == "max" else min
        promoted = {result.proposal.get(_PARENT) for result in self.results}
        for ((size, _), (next_size, epochs)), indices in zip(
            itertools.pairwise(rounds), members, strict=False
        ):
            ended = [
                (self.results[index].score, index)
                for index in indices
                if index not in promoted and not self.results[index].is_running
            ]
            scores = [(score, index) for score, index in ended if score is not None]
            if scores and len(ended) > size - next_size:
                _, parent = best(scores, key=lambda one: one[0])
                return {**self.results[parent].proposal, EPOCHS: epochs, _PARENT: parent}
        return None

    def _members_of(self, bracket: int, epochs: int) -> list[int]:
        return [
            index
            for index, result in enumerate(self.results)
            if result.proposal.get(_BRACKET) == bracket and result.proposal[EPOCHS] == epochs
        ]


ORACLES: dict[Tuner, type[SeededOracle]] = {
    "random": SeededOracle,
    "grid": GridOracle,
    "bayesian": BayesianOracle,
    "hyperband": HyperbandOracle,
}


def _hyperparameters(space: SearchSpace) -> keras_tuner.HyperParameters:
    """Return the parameters as KerasTuner's; a choice is a choice among its indices.

    `numbers_at` applies their conditions.
    """
    hyperparameters = keras_tuner.HyperParameters()
    for dimension in space:
        config = dimension.config
        if config.choice is not None:
            indices = list(range(len(config.choice)))
            hyperparameters.Choice(dimension.path, indices, ordered=False)
            continue
        low, high = config.range or config.log  # type: ignore[misc]
        add = hyperparameters.Int if config.is_whole else hyperparameters.Float
        sampling = "log" if config.log else "linear"
        add(dimension.path, low, high, step=config.step, sampling=sampling)
    return hyperparameters
