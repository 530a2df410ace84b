"""Running the trials of a search, in this process and on a cluster."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.cluster.cluster import Lost, UnfitMachineError
from pipeline.cluster.local_cluster import LocalCluster
from pipeline.recipe.loader import LoadedRecipe, load_recipe
from pipeline.trials.journal import Journal
from pipeline.trials.search_state import PendingTrial, Search
from pipeline.trials.trial import TrialOutcome
from pipeline.trials.trial_loop import TrialPiece, TrialWorker, make_trial_worker, run_trials
from pipeline.trials.trial_trainer import TrialTrainer

# 55 training images are so few that logistic regression overfits them, if it is not penalized. A
# penalty of 1, and labels of which more than half is spread, are too much.
PENALTIES = """\
data: {source: digits, validation: 0.6, test: 0.37, batch_size: 16}
model: {architecture: mlp, hidden: []}
optimizer: {name: adam, learning_rate: 0.03}
training: {epochs: 15}
tuning:
  tuner: grid
  objective: val_log_loss
  prune: false
  trials: 20
  space:
    regularization.l2: {choice: [0.0, 1e-2, 1.0]}
    regularization.label_smoothing: {choice: [0.0, 0.6]}
"""
RATES = """\
data: {source: digits, batch_size: 256}
model: {architecture: mlp, hidden: [16]}
optimizer: {name: sgd, learning_rate: 0.01}
training: {epochs: 4}
tuning:
  tuner: random
  trials: 25
  space:
    optimizer.learning_rate: {log: [1e-4, 1e-1]}
    optimizer.name: {choice: [adam, sgd]}
"""


class Reporter:
    """Notes the trials that were interrupted."""

    def __init__(self) -> None:
        self.killed: list[int] = []

    def update(self) -> None:
        pass

    def interrupted(self, trial: PendingTrial) -> None:
        self.killed.append(trial.number)


class FakeCluster:
    """Works on some pieces at a time, and ends them in a random order; some are lost."""

    def __init__(self, at_once: int, seed: int = 0, lost: dict[int, Lost] | None = None) -> None:
        self.at_once = at_once
        self.lost = lost or {}
        self.largest = 0
        self._random = random.Random(seed)

    def results(
        self,
        make_worker: Callable[[], Callable[[Any], Any]],
        pieces: Iterator[Any],
        *,
        retries: int = 0,
    ) -> Iterator[tuple[Any, Any]]:
        work = make_worker()
        running: list[TrialPiece] = []
        while True:
            while len(running) < self.at_once:
                piece = next(pieces, None)
                if piece is None or piece == "wait":
                    break
                running.append(piece)
            if not running:
                return
            self.largest = max(self.largest, len(running))
            piece = running.pop(self._random.randrange(len(running)))
            yield piece, self.lost.get(piece.trial.number) or work(piece)


def train(piece: TrialPiece) -> TrialOutcome:
    """Return a made-up outcome of a trial, after as many epochs as the rule lets it train."""
    rate = piece.trial.loaded.recipe.optimizer.learning_rate
    peak = 0.9 - abs(math.log10(rate) + 2.5) / 5
    rows: list[dict[str, float]] = []
    for epoch in range(1, 5):
        rows.append({"val_accuracy": peak * epoch / 4})
        if epoch < 4 and piece.rule(rows):
            return TrialOutcome("FINISHED", peak, (peak,), rows=tuple(rows), pruned_at=epoch)
    return TrialOutcome("FINISHED", peak, (peak,), rows=tuple(rows))


def rates(*overrides: str) -> LoadedRecipe:
    Path("recipe.yaml").write_text(RATES)
    return load_recipe(Path("recipe.yaml"), overrides)


def searched(
    loaded: LoadedRecipe,
    cluster: Any,
    *,
    folder: str = "search",
    make_worker: Callable[[], TrialWorker] = lambda: train,
    reporter: Reporter | None = None,
) -> Search:
    search = Search(loaded, Journal(Path(folder)), at_once=cluster.at_once)
    run_trials(search, cluster, make_worker, reporter or Reporter())  # type: ignore[arg-type]
    return search


def table(search: Search) -> list[Any]:
    return [(done.number, done.values, done.outcome) for done in search.done]


@pytest.mark.parametrize("tuner", ["random", "bayesian", "grid"])
def test_the_order_in_which_trials_end_changes_nothing(tuner: str, in_empty_folder: Path) -> None:
    loaded = rates(f"tuning.tuner={tuner}", "tuning.patience=15")
    clusters = [FakeCluster(at_once=3, seed=seed) for seed in range(3)]
    one, *others = [
        searched(loaded, cluster, folder=str(index)) for index, cluster in enumerate(clusters)
    ]
    assert {cluster.largest for cluster in clusters} == {3}
    assert any(done.outcome.pruned_at for done in one.done)
    for other in others:
        assert table(other) == table(one)
        assert (other.best, other.ended) == (one.best, one.ended)


def test_a_search_that_starts_without_a_machine_waits_for_none(in_empty_folder: Path) -> None:
    search = Search(rates(), Journal(Path("search")), at_once=0)
    assert isinstance(search.next(), PendingTrial)


def test_hyperband_runs_every_trial_once(in_empty_folder: Path) -> None:
    loaded = rates("tuning.tuner=hyperband", "training.epochs=9")
    search = searched(loaded, FakeCluster(at_once=3))
    assert [done.number for done in search.done] == list(range(1, 26))


def test_a_killed_search_that_resumes_on_fewer_machines_ends_like_an_undisturbed_one(
    in_empty_folder: Path,
) -> None:
    loaded = rates("tuning.tuner=bayesian")
    whole = searched(loaded, FakeCluster(at_once=3, seed=1), folder="whole")
    killed = Search(loaded, Journal(Path("killed")), at_once=3)
    results = FakeCluster(at_once=3, seed=2).results(lambda: train, pieces_of(killed))
    for (piece, outcome), _ in zip(results, range(8), strict=False):
        killed.finish(piece.trial, outcome)
    assert len(killed.done) == 8
    resumed = searched(loaded, FakeCluster(at_once=2, seed=3), folder="killed")
    assert table(resumed) == table(whole)
    assert resumed.best == whole.best


def pieces_of(search: Search) -> Iterator[Any]:
    while (trial := search.next()) is not None:
        yield (trial if trial == "wait" else TrialPiece(trial, search.stopping_rule(trial)))


def test_a_trial_whose_process_died_failed(in_empty_folder: Path) -> None:
    lost = {
        2: Lost("A process was stopped: memory ran out.", memory=True),
        4: Lost("A process died.", memory=False),
    }
    search = searched(rates("tuning.trials=5"), FakeCluster(at_once=2, lost=lost))
    failed = [
        (done.number, done.outcome.kind, done.outcome.reason)
        for done in search.done
        if done.outcome.state == "FAILED"
    ]
    assert failed == [
        (2, "memory", "A process was stopped: memory ran out."),
        (4, "died", "A process died."),
    ]


def test_all_trials_that_run_are_reported_when_a_search_is_interrupted(
    in_empty_folder: Path,
) -> None:
    def interrupt(piece: TrialPiece) -> TrialOutcome:
        if piece.trial.number > 4:
            raise KeyboardInterrupt
        return train(piece)

    reporter = Reporter()
    with pytest.raises(KeyboardInterrupt):
        searched(rates(), FakeCluster(at_once=3), make_worker=lambda: interrupt, reporter=reporter)
    journal = Journal(Path("search"))
    started = {event["trial"] for event in journal.of("started")}
    finished = {event["trial"] for event in journal.of("finished")}
    assert len(reporter.killed) == 3
    assert set(reporter.killed) == started - finished


def test_a_machine_with_other_images_takes_no_part(in_empty_folder: Path) -> None:
    with pytest.raises(UnfitMachineError) as refused:
        make_trial_worker(rates(), TrialTrainer(), "others")
    assert str(refused.value) == (
        "Its images differ from the driver's. Copy the driver's images to it."
    )


@pytest.mark.slow
def test_a_search_over_penalties_finds_the_one_whose_predictions_are_best(
    in_empty_folder: Path,
) -> None:
    Path("recipe.yaml").write_text(PENALTIES)
    loaded, trainer = load_recipe(Path("recipe.yaml")), TrialTrainer()
    images = trainer.splits(loaded.recipe).digest
    make_worker = partial(make_trial_worker, loaded, trainer, images)
    search = searched(loaded, LocalCluster(), make_worker=make_worker)
    best, by_metrics = search.best, {}
    assert best
    for done in search.done:
        regularization = done.loaded.recipe.regularization
        values = (regularization.l2, regularization.label_smoothing)
        by_metrics[values] = done.outcome.metrics
    assert len(by_metrics) == 6
    assert best.values == {"regularization.l2": 1e-2, "regularization.label_smoothing": 0.0}
    winner = (1e-2, 0.0)
    assert min(by_metrics, key=lambda values: by_metrics[values]["val_log_loss"]) == winner
    assert max(by_metrics, key=lambda values: by_metrics[values]["val_accuracy"]) == winner
    # By the loss, which contains the penalty and the smoothed labels, none would be chosen.
    loss = {done.number: min(row["val_loss"] for row in done.outcome.rows) for done in search.done}
    assert min(loss, key=loss.__getitem__) == 1
