"""The proposals of each tuner, on functions with a known optimum."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from sklearn.gaussian_process import GaussianProcessRegressor

from pipeline.metric_direction import Direction
from pipeline.tuning.oracles import ORACLES, BayesianOracle, ProposalResult, SeededOracle
from pipeline.tuning.search_space import Numbers, resolve
from pipeline.tuning.tuning_config import ParameterConfig, Tuner

SPACE = {
    "rate": {"log": [1e-4, 1e-1]},
    "name": {"choice": ["adam", "sgd"]},
    "momentum": {"range": [0.0, 0.9], "step": 0.3, "when": {"name": "sgd"}},
    "units": {"range": [1, 3]},
}


def oracle(
    tuner: Tuner, parameters: Mapping[str, Any] = SPACE, *, direction: Direction = "max"
) -> SeededOracle:
    configs = {path: ParameterConfig(**config) for path, config in parameters.items()}
    space, problems = resolve(configs)
    assert not problems
    return ORACLES[tuner](space, direction=direction, seed=42, max_epochs=9)


def search(
    tuner: SeededOracle, score: Callable[[Numbers], float], trials: int, number: int = 1
) -> list[ProposalResult]:
    results: list[ProposalResult] = []
    for trial in range(number, number + trials):
        proposal = tuner.propose(trial, 0, results)
        assert proposal is not None
        results.append(ProposalResult(proposal, score(proposal)))
    return results


def score(numbers: Numbers) -> float:
    """Return a score of a point of SPACE."""
    bonus = numbers.get("momentum", 0.0) / 5 - abs(numbers["units"] - 2) / 10
    return bonus - abs(math.log10(numbers["rate"]) + 2.5)


@pytest.mark.parametrize("tuner", ["random", "bayesian", "hyperband", "grid"])
def test_a_proposal_depends_on_seed_number_and_results_alone(tuner: Tuner) -> None:
    results = search(oracle(tuner), score, 20)
    another = oracle(tuner)
    for index in (19, 3, 12):  # in any order
        assert another.propose(index + 1, 0, results[:index]) == results[index].proposal


@pytest.mark.parametrize("tuner", ["random", "bayesian", "hyperband"])
def test_another_draw_is_another_proposal(tuner: Tuner) -> None:
    results = search(oracle(tuner), score, 3)
    assert oracle(tuner).propose(4, 0, results) != oracle(tuner).propose(4, 1, results)


@pytest.mark.parametrize("tuner", ["random", "bayesian", "hyperband", "grid"])
def test_a_parameter_is_proposed_only_where_its_condition_is_met(tuner: Tuner) -> None:
    proposals = [result.proposal for result in search(oracle(tuner), score, 20)]
    assert {proposal["name"] for proposal in proposals} <= {0, 1}
    assert all(("momentum" in proposal) == (proposal["name"] == 1) for proposal in proposals)
    assert {proposal["units"] for proposal in proposals} <= {1, 2, 3}
    assert all(1e-4 <= proposal["rate"] <= 1e-1 for proposal in proposals)


def test_a_grid_has_every_combination_once() -> None:
    parameters = {
        "name": {"choice": ["adam", "sgd"]},
        "momentum": {"range": [0.0, 0.9], "step": 0.3, "when": {"name": "sgd"}},
        "units": {"range": [1, 3], "step": 1},
    }
    tuner = oracle("grid", parameters)
    proposals = [result.proposal for result in search(tuner, lambda _: 0.0, (1 + 4) * 3)]
    assert proposals[:4] == [
        {"name": 0, "units": 1},
        {"name": 0, "units": 2},
        {"name": 0, "units": 3},
        {"name": 1, "momentum": 0.0, "units": 1},
    ]
    assert len({tuple(proposal.items()) for proposal in proposals}) == 15
    assert tuner.propose(16, 0, [ProposalResult(proposal, 0.0) for proposal in proposals]) is None


@pytest.mark.parametrize("direction", ["max", "min"])
def test_bayesian_search_finds_a_known_optimum(direction: Direction) -> None:
    parameters = {
        "rate": {"log": [1e-4, 1e-1]},
        "dropout": {"range": [0.0, 0.5]},
        "l2": {"log": [1e-6, 1e-2]},
    }

    def loss(numbers: Numbers) -> float:
        rate = math.log10(numbers["rate"]) + 2.5
        return rate**2 + 4 * (numbers["dropout"] - 0.3) ** 2 + (math.log10(numbers["l2"]) + 4) ** 2

    sign = 1 if direction == "min" else -1
    tuner = oracle("bayesian", parameters, direction=direction)
    results = search(tuner, lambda numbers: sign * loss(numbers), 30)
    at_random = search(oracle("random", parameters), loss, 30)
    best, best_at_random = (
        min(loss(result.proposal) for result in each) for each in (results, at_random)
    )
    assert best < 0.1
    assert best < best_at_random / 2


def test_bayesian_search_proposes_elsewhere_while_a_trial_runs() -> None:
    parameters = {"rate": {"log": [1e-4, 1e-1]}}
    tuner = oracle("bayesian", parameters)
    results = search(tuner, lambda numbers: -abs(math.log10(numbers["rate"]) + 2.5), 8)
    first = tuner.propose(9, 0, results)
    assert first is not None
    second = tuner.propose(9, 0, [*results, ProposalResult(first, is_running=True)])
    assert second is not None
    assert abs(math.log10(second["rate"] / first["rate"])) > 0.01


@pytest.mark.parametrize("direction", ["max", "min"])
def test_bayesian_search_leaves_values_that_fail(direction: Direction) -> None:
    parameters = {"rate": {"log": [1e-4, 1e-1]}}
    tuner = oracle("bayesian", parameters, direction=direction)
    sign = 1 if direction == "max" else -1
    # The higher the rate, the better, but the highest ones fail.
    results: list[ProposalResult] = []
    for number in range(1, 25):
        proposal = tuner.propose(number, 0, results)
        assert proposal is not None
        rate = proposal["rate"]
        value = sign * math.log10(rate) if rate < 1e-2 else None
        results.append(ProposalResult(proposal, value))
    assert sum(result.score is None for result in results[-12:]) <= 6
    assert 4e-3 < max(r.proposal["rate"] for r in results if r.score is not None) < 1e-2


def test_bayesian_search_finds_the_optimum_among_more_trials_than_it_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parameters = {"rate": {"log": [1e-4, 1e-1]}, "dropout": {"range": [0.0, 0.5]}}

    def loss(numbers: Numbers) -> float:
        rate = math.log10(numbers["rate"]) + 2.5
        return rate**2 + 4 * (numbers["dropout"] - 0.3) ** 2

    monkeypatch.setattr(BayesianOracle, "max_fitted", 10)
    monkeypatch.setattr(BayesianOracle, "max_observed", 16)
    fitted: list[int] = []
    fit = GaussianProcessRegressor.fit

    def counting(self: Any, points: Any, scores: Any) -> Any:
        fitted.append(len(points))
        return fit(self, points, scores)

    monkeypatch.setattr(GaussianProcessRegressor, "fit", counting)
    results = search(oracle("bayesian", parameters, direction="min"), loss, 30)
    assert max(fitted) == 16
    assert set(fitted[-2:]) == {10, 16}
    assert min(loss(result.proposal) for result in results) < 0.05


def test_hyperband_trains_the_best_third_of_each_round_for_longer() -> None:
    results = search(oracle("hyperband"), score, 22)
    brackets = [result.proposal["tuner/bracket"] for result in results]
    epochs = [result.proposal["tuner/epochs"] for result in results]
    assert brackets == [0] * 13 + [1] * 7 + [2] * 2
    assert sorted(epochs[:13]) == [1] * 9 + [3] * 3 + [9]
    assert sorted(epochs[13:20]) == [3] * 5 + [9] * 2
    assert epochs[20:] == [9, 9]
    first = sorted((r for r in results[:13] if r.proposal["tuner/epochs"] == 1), key=_score_of)
    promoted = [r.proposal["rate"] for r in results[:13] if r.proposal["tuner/epochs"] == 3]
    assert sorted(promoted) == sorted(result.proposal["rate"] for result in first[-3:])


def test_hyperband_promotes_none_that_failed() -> None:
    def failing(numbers: Numbers) -> float | None:
        return None if numbers["units"] == 2 else score(numbers)

    tuner = oracle("hyperband")
    results: list[ProposalResult] = []
    for number in range(1, 14):
        proposal = tuner.propose(number, 0, results)
        assert proposal is not None
        results.append(ProposalResult(proposal, failing(proposal)))
    epochs = [result.proposal["tuner/epochs"] for result in results]
    assert epochs.count(1) == 9
    assert epochs.count(3) == 3
    promoted = [result for result in results if result.proposal["tuner/epochs"] > 1]
    assert all(result.score is not None for result in promoted)


def test_hyperband_starts_another_bracket_rather_than_wait() -> None:
    tuner = oracle("hyperband")
    results = search(tuner, score, 9)
    running = [ProposalResult(result.proposal, is_running=True) for result in results]
    proposal = tuner.propose(10, 0, running)
    assert proposal is not None
    assert (proposal["tuner/bracket"], proposal["tuner/epochs"]) == (1, 3)


def _score_of(result: ProposalResult) -> float:
    assert result.score is not None
    return result.score
