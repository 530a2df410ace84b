"""How long a Bayesian proposal takes, and how good it is, beside KerasTuner's own oracle.

    python benchmarks/proposals.py
    python benchmarks/proposals.py --quality 5

The first prints the seconds of a proposal after 100, 300 and 1,000 trials of five parameters.
`--quality` searches functions with a known minimum with so many seeds, and prints the median
distance of the best trial to the minimum after 50, 100 and 150 trials.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras_tuner
import numpy as np
from interleaved import machine, spread

from pipeline.tuning.oracles import BayesianOracle, ProposalResult
from pipeline.tuning.search_space import resolve
from pipeline.tuning.tuning_config import ParameterConfig

Function = Callable[[np.ndarray], float]  # of a point of the unit cube, with minimum 0

TRIALS = (100, 300, 1_000)
CHECKPOINTS = (50, 100, 150)
HEAD = {
    "optimizer": {"choice": ["adam", "sgd", "rmsprop"]},
    "learning_rate": {"log": [1e-4, 1e-1]},
    "dropout": {"range": [0.0, 0.7]},
    "l2": {"log": [1e-5, 1e-1]},
    "hidden": {"choice": [[], [32], [128]]},
}


def branin(x: np.ndarray) -> float:
    """Return the Branin function of two parameters, less its minimum."""
    a, b = 15 * x[0] - 5, 15 * x[1]
    curve = b - 5.1 / (4 * math.pi**2) * a**2 + 5 / math.pi * a - 6
    return curve**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10 - 0.397887


def hartmann(x: np.ndarray) -> float:
    """Return the Hartmann function of six parameters, less its minimum."""
    alpha = np.array([1.0, 1.2, 3.0, 3.2])
    a = np.array(
        [
            [10, 3, 17, 3.5, 1.7, 8],
            [0.05, 10, 17, 0.1, 8, 14],
            [3, 3.5, 1.7, 10, 17, 8],
            [17, 8, 0.05, 10, 0.1, 14],
        ]
    )
    p = 1e-4 * np.array(
        [
            [1312, 1696, 5569, 124, 8283, 5886],
            [2329, 4135, 8307, 3736, 1004, 9991],
            [2348, 1451, 3522, 2883, 3047, 6650],
            [4047, 8828, 8732, 5743, 1091, 381],
        ]
    )
    return float(3.32237 - alpha @ np.exp(-np.sum(a * (x - p) ** 2, axis=1)))


def bowl(x: np.ndarray) -> float:
    """Return a bowl of five parameters, two of which hardly matter, as of a head."""
    weights = np.array([1.0, 1.0, 0.3, 0.01, 0.01])
    return float(weights @ (x - np.array([0.3, 0.62, 0.45, 0.5, 0.5])) ** 2)


FUNCTIONS: dict[str, tuple[Function, int]] = {
    "Branin, 2 parameters": (branin, 2),
    "bowl, 5 parameters": (bowl, 5),
    "Hartmann, 6 parameters": (hartmann, 6),
}


def oracle_of(parameters: Mapping[str, Any], seed: int) -> BayesianOracle:
    space, _ = resolve({path: ParameterConfig(**keys) for path, keys in parameters.items()})
    return BayesianOracle(space, direction="min", seed=seed, max_epochs=1)


def seconds_of_proposals(trials: int, repeats: int = 5) -> list[float]:
    """Return the seconds of proposals after so many random trials."""
    generator, oracle = np.random.default_rng(0), oracle_of(HEAD, seed=0)
    results = []
    for _ in range(trials):
        point = generator.uniform(size=len(HEAD))
        score = bowl(point) + generator.normal(0, 0.02)
        results.append(ProposalResult(oracle.numbers_at(point), score))
    seconds = []
    for number in range(trials, trials + repeats):
        started = time.perf_counter()
        oracle.propose(number, 0, results)
        seconds.append(time.perf_counter() - started)
    return seconds


def ours(function: Function, size: int, seed: int, trials: int) -> list[float]:
    """Return the value of each trial of this package's oracle."""
    names = [f"x{index}" for index in range(size)]
    oracle = oracle_of({name: {"range": [0.0, 1.0]} for name in names}, seed)
    results: list[ProposalResult] = []
    for number in range(1, trials + 1):
        numbers = oracle.propose(number, 0, results)
        assert numbers is not None
        results.append(ProposalResult(numbers, function(np.array([numbers[n] for n in names]))))
    return [result.score or 0.0 for result in results]


def keras_tuner_s(function: Function, size: int, seed: int, trials: int) -> list[float]:
    """Return the value of each trial of KerasTuner's oracle."""
    hyperparameters = keras_tuner.HyperParameters()
    names = [f"x{index}" for index in range(size)]
    for name in names:
        hyperparameters.Float(name, 0.0, 1.0)
    oracle = keras_tuner.oracles.BayesianOptimizationOracle(
        objective=keras_tuner.Objective("value", "min"),
        max_trials=trials,
        seed=seed,
        hyperparameters=hyperparameters,
    )
    values = []
    with tempfile.TemporaryDirectory() as folder:
        oracle._set_project_dir(folder, "search")
        for _ in range(trials):
            trial = oracle.create_trial("worker")
            value = function(np.array([trial.hyperparameters.get(name) for name in names]))
            oracle.update_trial(trial.trial_id, {"value": value})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
            values.append(value)
    return values


def compare(seeds: int) -> None:
    for name, (function, size) in FUNCTIONS.items():
        for searcher in (ours, keras_tuner_s):
            started = time.perf_counter()
            best = [
                list(itertools.accumulate(searcher(function, size, seed, CHECKPOINTS[-1]), min))
                for seed in range(seeds)
            ]
            spent = time.perf_counter() - started
            after = "  ".join(
                f"{count}: {statistics.median(each[count - 1] for each in best):.2g}"
                for count in CHECKPOINTS
            )
            each = spent / seeds / CHECKPOINTS[-1]
            print(f"{name}, {searcher.__name__}: {after}; {each:.3f} s a trial", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quality", type=int, help="seeds of each search of known functions")
    options = parser.parse_args()
    print(f"on {machine()}")
    if options.quality:
        compare(options.quality)
        return
    for trials in TRIALS:
        print(f"after {trials:,} trials: {spread(seconds_of_proposals(trials), 3)} s a proposal")


if __name__ == "__main__":
    main()
