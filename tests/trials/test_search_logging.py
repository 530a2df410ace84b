"""What is logged of a search: trials, table, best recipe and figures."""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.recipe.loader import LoadedRecipe, load_recipe, with_overrides
from pipeline.trials import search_logging
from pipeline.trials.journal import Journal
from pipeline.trials.search_state import PendingTrial, Search
from pipeline.trials.trial import TrialOutcome

RECIPE = """\
name: digits
data: {source: digits}
model: {architecture: mlp, hidden: [16]}
training: {epochs: 4}
tuning:
  tuner: random
  trials: 5
  space:
    optimizer.learning_rate: {log: [1e-3, 1e-1]}
    optimizer.name: {choice: [adam, sgd]}
"""
OUTCOMES = [
    TrialOutcome("FINISHED", score=0.5, scores=(0.5,), metrics={"val_accuracy": 0.5}, seconds=2.0),
    TrialOutcome("FINISHED", score=0.75, scores=(0.7, 0.8), seconds=3.0),
    TrialOutcome("FAILED", kind="memory", reason="Out of memory.", seconds=1.0),
    TrialOutcome(
        "FINISHED",
        score=0.6,
        scores=(0.6,),
        rows=({"val_accuracy": 0.5}, {"val_accuracy": 0.6}),
        times=(100.0, 104.0),
        seconds=8.0,
        pruned_at=2,
    ),
]


class FakeLogger:
    """Keeps what is logged; artifacts are files in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.params: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.metrics: dict[str, float] = {}

    def log_params(self, params: Mapping[str, str]) -> None:
        self.params.update(params)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self.tags.update(tags)

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        self.metrics.update(metrics)

    @contextlib.contextmanager
    def log_artifacts(self) -> Iterator[Path]:
        self.directory.mkdir(exist_ok=True)
        yield self.directory


@pytest.fixture
def run_logger(tmp_path: Path) -> Any:
    return FakeLogger(tmp_path / "artifacts")


@pytest.fixture
def loaded(in_empty_folder: Path) -> LoadedRecipe:
    Path("recipe.yaml").write_text(RECIPE)
    return load_recipe(Path("recipe.yaml"))


@pytest.fixture
def search(loaded: LoadedRecipe, tmp_path: Path) -> Search:
    search = Search(loaded, Journal(tmp_path / "search"))
    for outcome in OUTCOMES:
        task = search.next()
        assert isinstance(task, PendingTrial)
        search.finish(task, outcome)
    return search


def test_a_trial_is_a_run_with_its_recipe_metrics_and_values(search: Search) -> None:
    done = search.done[3]
    run = search_logging.trial_run(search, done, done.outcome)
    assert (run.number, run.name, run.status) == (4, "trial 4", "FINISHED")
    assert (run.start, run.end) == (96.0, 104.0)
    assert run.metrics == {"seconds": 8.0, "objective": 0.6, "best_so_far": 0.75}
    assert run.params["optimizer.name"] == done.values["optimizer.name"]
    assert run.tags == {
        "objective": "val_accuracy",
        "pruned_at": "2",
        "tried.optimizer.learning_rate": json.dumps(done.values["optimizer.learning_rate"]),
        "tried.optimizer.name": done.values["optimizer.name"],
    }
    assert run.rows == done.outcome.rows
    Path("trial.yaml").write_text(run.files["resolved.yaml"])
    assert load_recipe(Path("trial.yaml")).recipe == done.loaded.recipe


def test_the_run_of_a_failed_trial_has_the_reason(search: Search) -> None:
    done = search.done[2]
    run = search_logging.trial_run(search, done, done.outcome)
    assert run.status == "FAILED"
    assert run.tags["reason"] == "Out of memory."
    assert run.metrics == {"seconds": 1.0, "best_so_far": 0.75}


def test_the_run_of_a_killed_trial_has_its_recipe_and_no_result(search: Search) -> None:
    task = search.next()
    assert isinstance(task, PendingTrial)
    run = search_logging.trial_run(search, task, TrialOutcome("KILLED"))
    assert (run.number, run.status, run.metrics) == (5, "KILLED", {"seconds": 0.0})
    assert run.params["optimizer.name"] == task.values["optimizer.name"]


def test_the_table_has_a_row_for_each_trial(search: Search, run_logger: Any) -> None:
    rows = search_logging.trial_rows(search)
    assert [row["trial"] for row in rows] == [1, 2, 3, 4]
    assert [row["val_accuracy"] for row in rows] == [0.5, 0.75, None, 0.6]
    assert rows[0]["optimizer.name"] == ""  # the recipe without changes
    assert rows[1]["spread"] == pytest.approx(0.0707, abs=1e-4)
    search_logging.log_trial_rows(rows, run_logger)
    with (run_logger.directory / "trials.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [row["reason"] for row in table] == ["", "", "Out of memory.", ""]
    assert table[3]["pruned_at"] == "2"
    shown = json.loads((run_logger.directory / "trials.json").read_text())
    assert shown["columns"] == list(rows[0])
    assert len(shown["data"]) == 4


def test_the_best_recipe_runs_as_it_is(
    search: Search, loaded: LoadedRecipe, run_logger: Any, tmp_path: Path
) -> None:
    path = search_logging.write_best(search, loaded, tmp_path, run_logger)
    assert load_recipe(path).recipe == search.done[1].loaded.recipe
    assert path.read_text().startswith(
        "# The best of 4 trials of digits: trial 2, val_accuracy 0.7500.\n"
    )
    assert (run_logger.directory / "best.yaml").read_text() == path.read_text()


def test_the_password_of_a_tracking_server_is_in_the_best_recipe_alone(
    search: Search, loaded: LoadedRecipe, run_logger: Any, tmp_path: Path
) -> None:
    address = "https://keeper:hay-stack@mlflow.example"
    loaded = with_overrides(loaded, {"tracking.uri": address})
    path = search_logging.write_best(search, loaded, tmp_path, run_logger)
    assert load_recipe(path).recipe.tracking.uri == address
    assert path.stat().st_mode & 0o777 == 0o600
    logged = (run_logger.directory / "best.yaml").read_text()
    assert "  uri: https://keeper:***@mlflow.example\n" in logged
    assert "hay-stack" not in logged


def test_the_best_recipe_of_hyperband_has_the_epochs_of_its_score(
    in_empty_folder: Path, run_logger: Any
) -> None:
    Path("recipe.yaml").write_text(RECIPE.replace("random", "hyperband"))
    loaded = load_recipe(Path("recipe.yaml"))
    search = Search(loaded, Journal(Path("search")))
    for score in (0.5, 0.75):
        task = search.next()
        assert isinstance(task, PendingTrial)
        search.finish(task, TrialOutcome("FINISHED", score=score, scores=(score,)))
    path = search_logging.write_best(search, loaded, Path(), run_logger)
    assert loaded.recipe.training.epochs == 4
    assert load_recipe(path).recipe.training.epochs == 2
    assert ", training.epochs 2\n" in path.read_text()


def test_the_run_of_a_search_has_its_recipe_and_space(
    search: Search, loaded: LoadedRecipe, run_logger: Any
) -> None:
    search_logging.log_search(search, loaded, run_logger)
    assert run_logger.params["model.hidden"] == "[16]"
    assert run_logger.params["tuning.trials"] == "5"
    assert json.loads(run_logger.params["space.optimizer.name"]) == {"choice": ["adam", "sgd"]}
    assert run_logger.tags == {"search": "random", "objective": "val_accuracy, maximum is best"}
    assert (run_logger.directory / "recipe.yaml").read_text() == RECIPE


def test_figures_are_drawn_from_two_trials_on(
    search: Search, loaded: LoadedRecipe, run_logger: Any, tmp_path: Path
) -> None:
    new = Search(loaded, Journal(tmp_path / "new"))
    search_logging.log_search_figures(new, run_logger)
    assert not run_logger.directory.exists()
    search_logging.log_search_figures(search, run_logger)
    assert {"optimization_history.png", "parallel_coordinates.png"} <= {
        path.name for path in (run_logger.directory / "figures").iterdir()
    }


def test_the_result_counts_failed_and_pruned_trials(search: Search, run_logger: Any) -> None:
    metrics = {"val_accuracy": 0.7, "test_accuracy": 0.65, "train_accuracy": 0.9}
    search_logging.log_search_result(search, "abc", metrics, run_logger)
    assert run_logger.metrics == {
        "search/best": 0.75,
        "search/best_trial": 2.0,
        "search/trials": 4.0,
        "search/failed": 1.0,
        "search/contradictory": 0.0,
        "search/pruned": 1.0,
        "search/seconds": search.seconds_of_trials,
        "final/val_accuracy": 0.7,
        "final/test_accuracy": 0.65,
    }
    assert run_logger.tags["final.run_id"] == "abc"
