"""The state of a search: its proposals, when it ends, and how it resumes after a kill."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from pipeline.recipe.loader import LoadedRecipe, load_recipe
from pipeline.trials.journal import Journal
from pipeline.trials.search_state import PendingTrial, Search
from pipeline.trials.trial import TrialOutcome

RECIPE = """\
data: {{source: digits}}
model: {{architecture: mlp, hidden: [32]}}
optimizer: {{name: sgd, learning_rate: 0.01}}
training: {{epochs: 9}}
tuning:
  tuner: {tuner}
  trials: {trials}
  {more}
  space:
    optimizer.learning_rate: {{log: [1e-4, 1e-1]}}
    optimizer.name: {{choice: [adam, sgd]}}
    optimizer.momentum: {{range: [0.0, 0.9], step: 0.3, when: {{optimizer.name: sgd}}}}
"""


def recipe(tuner: str, trials: int = 24, more: str = "prune: true") -> LoadedRecipe:
    path = Path("recipe.yaml")
    path.write_text(RECIPE.format(tuner=tuner, trials=trials, more=more))
    return load_recipe(path, environment={})


def score(task: PendingTrial) -> TrialOutcome:
    rate = task.loaded.recipe.optimizer.learning_rate
    bonus = getattr(task.loaded.recipe.optimizer, "momentum", 0.0) / 10
    value = 0.9 - abs(math.log10(rate) + 2.5) / 10 + bonus
    return TrialOutcome("FINISHED", score=value, scores=(value,))


def run(search: Search, max_trials: int = 1000) -> None:
    """Run the next trials of a search."""
    for _ in range(max_trials):
        task = search.next()
        if task is None:
            return
        assert task != "wait"
        search.finish(task, score(task))


def table(search: Search) -> list[object]:
    return [(done.number, done.values, done.outcome.score) for done in search.done]


@pytest.fixture
def folder(in_empty_folder: Path) -> Path:
    return in_empty_folder / "search"


@pytest.mark.parametrize("tuner", ["random", "bayesian", "hyperband", "grid"])
def test_a_search_that_is_killed_after_every_trial_ends_like_an_undisturbed_one(
    tuner: str, folder: Path
) -> None:
    loaded = recipe(tuner, trials=13)
    whole = Search(loaded, Journal(folder / "whole"))
    run(whole)
    assert len(whole.done) == 13
    for killed in range(13):
        search = Search(loaded, Journal(folder / "killed"))
        assert len(search.done) == killed
        search.next()  # started, and never finished
        search = Search(loaded, Journal(folder / "killed"))
        run(search, max_trials=1)
    assert table(search) == table(whole)
    assert search.best == whole.best


def test_the_first_trial_is_the_recipe_without_changes(folder: Path) -> None:
    loaded = recipe("random")
    task = Search(loaded, Journal(folder)).next()
    assert isinstance(task, PendingTrial)
    assert task.values == {}
    assert task.loaded.recipe == loaded.recipe.model_copy(update={"tuning": None})


def test_no_trial_is_run_twice(folder: Path) -> None:
    search = Search(recipe("bayesian", trials=20), Journal(folder))
    run(search)
    recipes = [done.loaded.recipe.model_dump_json() for done in search.done]
    assert len(set(recipes)) == len(recipes) == 20


def test_a_parameter_exists_only_where_its_condition_is_met(folder: Path) -> None:
    search = Search(recipe("random"), Journal(folder))
    run(search)
    names = {done.values["optimizer.name"] for done in search.done if done.values}
    assert names == {"adam", "sgd"}
    for done in search.done[1:]:
        assert ("optimizer.momentum" in done.values) == (done.values["optimizer.name"] == "sgd")


def test_a_grid_ends_when_nothing_is_left(folder: Path) -> None:
    loaded = recipe("grid", trials=1000)
    search = Search(loaded, Journal(folder))
    run(search)
    # 10 rates and the lower end, which comes first, with adam or with sgd and four momenta; and
    # the recipe itself, whose rate is not among them.
    assert len(search.done) == 11 * (1 + 4) + 1
    assert search.ended == "the search space is exhausted"


def test_hyperband_trains_the_better_ones_for_longer(folder: Path) -> None:
    search = Search(recipe("hyperband", trials=40), Journal(folder))
    run(search)
    by_epochs: dict[int, list[float]] = {}
    for done in search.done[1:]:
        assert done.outcome.score is not None
        by_epochs.setdefault(done.values["training.epochs"], []).append(done.outcome.score)
    assert sorted(by_epochs) == [1, 3, 9]
    assert sum(by_epochs[9]) / len(by_epochs[9]) > sum(by_epochs[1]) / len(by_epochs[1])


def test_bayesian_search_improves_on_the_recipe(folder: Path) -> None:
    search = Search(recipe("bayesian"), Journal(folder))
    run(search)
    best, first = search.best_until(24), search.best_until(1)
    assert best is not None
    assert first is not None
    assert best > 0.95
    assert first < 0.86


def test_of_equal_trials_the_one_with_the_lowest_log_loss_is_the_best(folder: Path) -> None:
    search = Search(recipe("random"), Journal(folder))
    for log_loss, pruned_at in ((0.5, None), (0.3, None), (0.4, None), (0.1, 2)):
        task = search.next()
        assert isinstance(task, PendingTrial)
        score = 0.9 if pruned_at is None else 0.95
        metrics = {"val_log_loss": log_loss}
        search.finish(task, TrialOutcome("FINISHED", score, metrics=metrics, pruned_at=pruned_at))
    assert search.best is not None
    assert (search.best.number, search.best_until(4)) == (2, 0.9)


def failed(kind: str) -> TrialOutcome:
    return TrialOutcome("FAILED", kind=kind, reason=f"It is {kind}.")


def test_three_failures_of_the_same_kind_in_a_row_end_a_search(folder: Path) -> None:
    search = Search(recipe("random"), Journal(folder))
    for kind in ("memory", "diverged", "memory", "memory", "memory"):
        task = search.next()
        assert isinstance(task, PendingTrial)
        search.finish(task, failed(kind))
    assert search.next() is None
    assert search.ended == "3 trials in a row failed in the same way: It is memory."


@pytest.mark.parametrize("kind", ["diverged", "contradiction"])
def test_values_that_cannot_be_trained_do_not_end_a_search(kind: str, folder: Path) -> None:
    search = Search(recipe("random"), Journal(folder))
    for _ in range(5):
        task = search.next()
        assert isinstance(task, PendingTrial)
        search.finish(task, failed(kind))
    assert isinstance(search.next(), PendingTrial)


def test_a_failure_does_not_end_a_search(folder: Path) -> None:
    search = Search(recipe("bayesian"), Journal(folder))
    for number in range(24):
        task = search.next()
        assert isinstance(task, PendingTrial)
        search.finish(task, failed("diverged") if number % 3 else score(task))
    assert search.next() is None
    assert search.ended == "all 24 trials have run"


def test_a_search_ends_when_nothing_improves(folder: Path) -> None:
    search = Search(recipe("random", more="patience: 4"), Journal(folder))
    while isinstance(task := search.next(), PendingTrial):
        search.finish(task, TrialOutcome("FINISHED", score=1 / task.number, scores=(1.0,)))
    assert len(search.done) == 5
    assert search.ended == "4 trials in a row did not improve the best score"


def test_the_budget_counts_earlier_sessions(folder: Path) -> None:
    loaded = recipe("random", more="budget: 1m")
    journal = Journal(folder)
    search = Search(loaded, journal)
    run(search, max_trials=1)
    journal.append("finished", trial=1, seconds=61.0, outcome=dict(journal.events[-1]["outcome"]))
    search = Search(loaded, Journal(folder))
    assert search.next() is None
    assert search.ended == "the budget of 1m is used up"


def test_an_incomplete_last_line_of_the_journal_is_removed(folder: Path) -> None:
    search = Search(recipe("random"), Journal(folder))
    run(search, max_trials=3)
    path = folder / "journal.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"event": "finished", "trial": 4, "outc')
    again = Search(recipe("random"), Journal(folder))
    assert table(again) == table(search)
    assert path.read_bytes() == whole


def test_values_that_contradict_each_other_are_a_failed_trial(folder: Path) -> None:
    path = Path("recipe.yaml")
    path.write_text(
        "data: {source: digits}\nmodel: {architecture: mlp}\ntuning:\n  tuner: grid\n  space:\n"
        "    optimizer.clipnorm: {choice: [null, 1.0]}\n"
        "    optimizer.clipvalue: {choice: [null, 1.0]}\n"
    )
    search = Search(load_recipe(path, environment={}), Journal(folder))
    run(search)
    (bad,) = [done for done in search.done if done.outcome.state == "FAILED"]
    assert bad.values == {"optimizer.clipnorm": 1.0, "optimizer.clipvalue": 1.0}
    assert bad.outcome.reason == (
        "recipe.yaml:7:26: optimizer.clipvalue: cannot be used together with clipnorm. Remove one "
        "of them."
    )
    assert len(search.done) == 4


def test_a_contradiction_is_not_tried_again(folder: Path) -> None:
    path = Path("recipe.yaml")
    path.write_text(
        "data: {source: digits}\nmodel: {architecture: mlp}\ntuning:\n  tuner: random\n"
        "  trials: 50\n  space:\n"
        "    optimizer.clipnorm: {choice: [null, 1.0]}\n"
        "    optimizer.clipvalue: {choice: [null, 1.0]}\n"
    )
    search = Search(load_recipe(path, environment={}), Journal(folder))
    run(search)
    assert sum(done.outcome.kind == "contradiction" for done in search.done) == 1
    assert search.ended == "the search space is exhausted"
