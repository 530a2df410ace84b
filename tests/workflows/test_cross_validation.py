"""Runs and searches with cross-validation, on real digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pipeline.recipe.loader import load_recipe
from pipeline.stages import cross_validate
from pipeline.stages.train_model import TrainedModel
from pipeline.tracking.lookup import find_run
from pipeline.tracking.store import checkpoint_directory, newest_run, open_store
from pipeline.trials.journal import Journal
from pipeline.trials.search_state import PendingTrial, Search
from pipeline.trials.trial import TrialOutcome, run_trial
from pipeline.trials.trial_trainer import TrialTrainer
from pipeline.workflows.single_run import run

RECIPE = """\
name: few_digits
data: {source: digits, batch_size: 128}
model: {architecture: mlp, hidden: [16]}
optimizer: {learning_rate: 3e-2}
training: {epochs: 3, folds: 3}
tuning: {objective: val_accuracy, space: {optimizer.learning_rate: {log: [1e-3, 1e-1]}}}
"""
PHOTOGRAPHS = """\
name: photographs
data: {{source: image_folder, path: '{photographs}', image_size: [32, 32], batch_size: 8}}
model: {{architecture: transfer, base: base.keras, hidden: [4]}}
training: {{epochs: 2, folds: 3}}
"""


def children_of(run_id: str) -> list[Any]:
    store = open_store(None)
    experiment = store.client.get_run(run_id).info.experiment_id
    condition = f"tags.`mlflow.parentRunId` = '{run_id}'"
    runs = store.client.search_runs([experiment], condition)
    return sorted(runs, key=lambda each: int(each.data.tags["fold"]))


def test_a_run_with_folds(in_empty_folder: Path) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    result = run(load_recipe(Path("recipe.yaml")))
    children = children_of(result.run_id)
    assert [child.info.run_name for child in children] == [f"fold {i} of 3" for i in (1, 2, 3)]
    accuracies = [child.data.metrics["cv_accuracy"] for child in children]
    assert min(accuracies) > 0.5
    assert sum(child.data.metrics["count/cv"] for child in children) == 1528
    logged = open_store(None).client.get_run(result.run_id)
    assert logged.data.metrics["cv_accuracy_mean"] == pytest.approx(np.mean(accuracies))
    assert logged.data.metrics["cv_accuracy_std"] == pytest.approx(np.std(accuracies, ddof=1))
    assert logged.data.tags["folds"] == "3 folds"
    assert result.metrics["cv_accuracy_mean"] == logged.data.metrics["cv_accuracy_mean"]
    shown = next(line for line in str(result).splitlines() if line.startswith("  cv "))
    assert shown.startswith(f"  cv    accuracy {np.mean(accuracies):.4f} ± ")
    assert shown.endswith("  over 3 folds")
    assert result.report
    page = result.report.read_text("utf-8")
    assert "3 folds, of 1,528 training and validation images." in page
    assert find_run(open_store(None), "latest").info.run_id == result.run_id  # not a fold

    # The model of the run is the one without folds.
    alone = run(load_recipe(Path("recipe.yaml"), ("training.folds=null",)))
    for name, value in alone.metrics.items():
        assert result.metrics[name] == value

    # A trial of a search is judged by the same folds.
    recipe = load_recipe(Path("recipe.yaml")).recipe
    assert recipe.tuning
    outcome = run_trial(recipe, TrialTrainer(), recipe.tuning, lambda rows: False)
    assert outcome.scores == pytest.approx(accuracies)
    assert outcome.score == pytest.approx(result.metrics["cv_accuracy_mean"])
    assert outcome.metrics["val_log_loss"] == pytest.approx(result.metrics["cv_log_loss_mean"])


@pytest.mark.slow
def test_folds_in_two_processes_are_those_of_one(
    in_empty_folder: Path, few_photographs: Path
) -> None:
    Path("recipe.yaml").write_text(PHOTOGRAPHS.format(photographs=few_photographs))
    rescaling, convolution = keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(4, 3)
    keras.Sequential([keras.Input((32, 32, 3)), rescaling, convolution]).save("base.keras")
    loaded = load_recipe(Path("recipe.yaml"))
    one, two = run(loaded), run(loaded, workers=2)
    assert one.folds == two.folds == "3 folds"
    judged = {name: value for name, value in one.metrics.items() if name.startswith("cv_")}
    assert judged["cv_accuracy_mean"] > 0.4
    for name, value in judged.items():
        assert two.metrics[name] == pytest.approx(value, abs=1e-5)
    assert len(children_of(two.run_id)) == 3


@pytest.mark.slow
def test_interrupted_folds_resume(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch, messages: list[str]
) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    loaded = load_recipe(Path("recipe.yaml"))
    train_model = cross_validate.train_model
    trained: list[int] = []

    def train(*arguments: Any, on_epoch: Any, **named: Any) -> TrainedModel:
        trained.append(len(trained))

        def report(epoch: int, *rest: Any) -> None:
            on_epoch(epoch, *rest)
            if len(trained) == 2:
                raise KeyboardInterrupt

        return train_model(*arguments, on_epoch=report, **named)

    monkeypatch.setattr(cross_validate, "train_model", train)
    with pytest.raises(KeyboardInterrupt):
        run(loaded)
    interrupted = newest_run(open_store(None))
    (directory,) = Path("mlruns/checkpoints").iterdir()
    assert (directory / "folds" / "fold-1.json").exists()
    assert list((directory / "folds" / "fold-2").glob("epoch-*.npz"))
    assert messages[-1].endswith(f"--resume {directory.name}")
    resumed = run(loaded, resume="latest")
    assert len(trained) == 4  # the first fold is kept
    assert interrupted
    assert not checkpoint_directory(resumed.run_id).exists()
    assert len(children_of(resumed.run_id)) == 3
    monkeypatch.undo()
    monkeypatch.chdir(in_empty_folder)
    assert run(loaded).metrics == pytest.approx(resumed.metrics)


def test_trials_are_not_pruned_by_one_fold(in_empty_folder: Path) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    outcome = TrialOutcome("FINISHED", score=0.5, rows=({"val_accuracy": 0.5},))
    for folds, others in (("3", ()), ("null", ((0.5,),))):
        loaded = load_recipe(Path("recipe.yaml"), (f"training.folds={folds}",))
        search = Search(loaded, Journal(Path(f"search-{folds}")))
        for number in (1, 2):
            trial = search.next()
            assert isinstance(trial, PendingTrial)
            assert trial.number == number
            rule = search.stopping_rule(trial)
            search.finish(trial, outcome)
        assert rule.others == others
