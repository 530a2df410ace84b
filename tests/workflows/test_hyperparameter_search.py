"""A search on real data: what it returns, and what MLflow contains."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from pipeline.cli import main
from pipeline.errors import DataError, UsageError
from pipeline.recipe.loader import load_recipe
from pipeline.stages import tracked_run
from pipeline.tracking import background_writer
from pipeline.tracking.background_writer import RetrySchedule
from pipeline.tracking.store import open_store
from pipeline.trials import trial
from pipeline.workflows.hyperparameter_search import TuneResult, tune

RECIPE = """\
name: few_digits
data: {source: digits, batch_size: 256}
model: {architecture: mlp, hidden: [16]}
optimizer: {learning_rate: 1e-4}
training: {epochs: 2}
tuning:
  tuner: random
  trials: 3
  space:
    optimizer.learning_rate: {log: [1e-2, 1e-1]}
    optimizer.name: {choice: [adam, rmsprop]}
"""


def searched(*overrides: str, **options: Any) -> TuneResult:
    path = Path("recipe.yaml")
    if not path.exists():
        path.write_text(RECIPE)
    return tune(load_recipe(path, overrides), **options)


def children_of(run_id: str) -> dict[int, Any]:
    client = open_store(None).client
    experiment = client.get_run(run_id).info.experiment_id
    runs = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'")
    numbers = [int(run.data.tags["trial"]) for run in runs]
    assert len(set(numbers)) == len(numbers)
    return dict(sorted(zip(numbers, runs, strict=True)))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("tune")
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield searched(), folder


def test_the_search_improves_on_the_recipe(finished: Any) -> None:
    result, _ = finished
    scores = [row["val_accuracy"] for row in result.trials]
    assert [row["trial"] for row in result.trials] == [1, 2, 3]
    assert result.best["score"] == max(scores) > scores[0] + 0.1
    assert result.ended == "all 3 trials have run"


def test_every_trial_is_a_run_under_the_run_of_the_search(finished: Any) -> None:
    result, _ = finished
    children = children_of(result.parent_run_id)
    assert list(children) == [1, 2, 3]
    for row, run in zip(result.trials, children.values(), strict=True):
        assert run.info.status == "FINISHED"
        assert run.data.metrics["objective"] == row["val_accuracy"]
        assert run.data.metrics["val_accuracy"] == row["val_accuracy"]
        assert run.data.params["training.epochs"] == "2"
        assert run.info.end_time - run.info.start_time == pytest.approx(
            run.data.metrics["seconds"] * 1000, abs=2
        )
        history = open_store(None).client.get_metric_history(run.info.run_id, "epoch/val_loss")
        assert [metric.step for metric in history] == [1, 2]
    assert children[2].data.params["optimizer.name"] == result.trials[1]["optimizer.name"]


def test_the_run_of_the_search_holds_its_space_and_its_table(finished: Any, tmp_path: Path) -> None:
    result, _ = finished
    client = open_store(None).client
    run = client.get_run(result.parent_run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["space.optimizer.name"] == '{"choice": ["adam", "rmsprop"]}'
    assert run.data.tags["objective"] == "val_accuracy, maximum is best"
    assert run.data.tags["final.run_id"] == result.final.run_id
    assert run.data.metrics["search/best"] == result.best["score"]
    history = client.get_metric_history(result.parent_run_id, "search/best_so_far")
    assert [metric.step for metric in history] == [1, 2, 3]
    folder = Path(client.download_artifacts(result.parent_run_id, "", str(tmp_path)))
    table = json.loads((folder / "trials.json").read_text())
    assert [row[0] for row in table["data"]] == [1, 2, 3]
    header, *lines = (folder / "trials.csv").read_text().splitlines()
    assert header == (
        "trial,state,val_accuracy,spread,epochs,pruned_at,seconds,reason,"
        "optimizer.learning_rate,optimizer.name"
    )
    assert len(lines) == 3


def test_the_best_recipe_is_written_and_was_run(finished: Any) -> None:
    result, folder = finished
    best = load_recipe(folder / result.recipe).recipe
    assert best.optimizer.learning_rate == result.best["values"]["optimizer.learning_rate"]
    assert best.tuning is None
    assert result.final.status == "FINISHED"
    assert result.final.metrics["val_accuracy"] == result.best["score"]
    assert "test_accuracy" in result.final.metrics


def test_the_result_says_that_there_is_no_test_split_where_the_data_has_none(finished: Any) -> None:
    result, _ = finished
    assert f"  test_accuracy {result.final.format_metric('test_accuracy')} on 269 images" in str(
        result
    )
    undefined = dataclasses.replace(result, objective="val_top_9_accuracy")
    assert (
        "\n  test_top_9_accuracy is undefined on 269 images (evaluated once, at the end)\n"
        in str(undefined)
    )
    untested = dataclasses.replace(result.final, images={"train": 1_000, "val": 200})
    without = dataclasses.replace(result, final=untested)
    assert "\n  There is no test split for an unbiased estimate.\n" in str(without)


@pytest.mark.slow
def test_hyperband_ends_with_the_score_of_its_best_trial(in_empty_folder: Path) -> None:
    result = searched("tuning.tuner=hyperband", "tuning.trials=5", "training.epochs=3")
    assert result.final.metrics["val_accuracy"] == result.best["score"]
    assert result.best["score"] >= result.trials[0]["val_accuracy"]
    epochs = result.best["values"].get("training.epochs", 3)
    assert load_recipe(Path(result.recipe)).recipe.training.epochs == epochs
    assert {row["epochs"] for row in result.trials} == {1, 3}


@pytest.mark.slow
def test_a_grid_skips_contradictory_points_and_counts_them(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = ("clipnorm", "clipvalue")
    space = ", ".join(f"optimizer.{key}: {{choice: [1.0, null]}}" for key in clips)
    result = searched(f"tuning={{tuner: grid, trials: 9, space: {{{space}}}}}", "training.epochs=1")
    states = [row["state"] for row in result.trials]
    assert states == ["FINISHED", "FAILED", "FINISHED", "FINISHED"]
    assert (result.failed, result.contradictory) == (0, 1)
    assert str(result).startswith("Best of 4 trials (1 contradictory) in ")
    assert result.ended == "the search space is exhausted"
    metrics = open_store(None).client.get_run(result.parent_run_id).data.metrics
    assert (metrics["search/failed"], metrics["search/contradictory"]) == (0, 1)


def interrupt_in(patch: pytest.MonkeyPatch, number: int) -> None:
    """Interrupt the search in the first epoch of a trial."""
    from pipeline.trials import trial_loop

    begun = []

    def run_trial(*arguments: Any, **options: Any) -> Any:
        begun.append(1)
        if len(begun) == number:
            raise KeyboardInterrupt
        return trial.run_trial(*arguments, **options)

    patch.setattr(trial_loop, "run_trial", run_trial)


def test_an_interrupted_search_resumes_in_the_same_run(
    finished: Any, in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = finished
    monkeypatch.setattr(tracked_run, "_SECONDS_TO_SEND", 60.0)
    with monkeypatch.context() as patch:
        interrupt_in(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            searched()
    (folder,) = Path("mlruns", "searches").iterdir()
    client = open_store(None).client
    assert client.get_run(folder.name).info.status == "KILLED"
    killed = children_of(folder.name)
    assert [run.info.status for run in killed.values()] == ["FINISHED", "KILLED"]
    with pytest.raises(UsageError) as refused:
        searched("optimizer.learning_rate=2e-4")
    assert str(refused.value) == (
        f"The recipe has changed since its unfinished search {folder.name} was started:\n"
        "  optimizer.learning_rate: was 0.0001, is 0.0002\n"
        "Undo the changes to resume it, or start a new search with --new."
    )
    result = searched()
    assert result.parent_run_id == folder.name
    scores = [row["val_accuracy"] for row in whole.trials]
    assert [row["val_accuracy"] for row in result.trials] == scores
    children = children_of(folder.name)
    assert [run.info.status for run in children.values()] == ["FINISHED"] * 3
    assert children[1].info.end_time == killed[1].info.end_time  # not run again
    assert children[2].info.run_id == killed[2].info.run_id
    assert client.get_run(folder.name).info.status == "FINISHED"
    with pytest.raises(UsageError, match="is finished"):
        searched(resume=folder.name)


def test_trials_in_the_outbox_of_an_interrupted_search_are_sent_when_it_resumes(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background_writer, "RETRIES", RetrySchedule(0.01, after_end=[0.0]))
    monkeypatch.setattr(tracked_run, "_SECONDS_TO_SEND", 60.0)
    with monkeypatch.context() as patch:
        interrupt_in(patch, 2)
        patch.setattr(MlflowClient, "log_batch", lambda *_, **__: 1 / 0)
        with pytest.raises(KeyboardInterrupt):
            searched()
    (folder,) = Path("mlruns", "outbox").iterdir()
    assert children_of(folder.name) == {}
    with monkeypatch.context() as patch:
        interrupt_in(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            searched()
    assert not folder.exists()
    children = children_of(folder.name)
    assert [run.info.status for run in children.values()] == ["FINISHED", "KILLED"]


def test_an_interrupted_search_says_how_to_resume_it(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch, messages: list[str]
) -> None:
    interrupt_in(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt):
        searched("training.epochs=1")
    (folder,) = Path("mlruns", "searches").iterdir()
    assert messages[-1] == (
        "Resume with: pipeline tune recipe.yaml --set training.epochs=1 --resume " + folder.name
    )


def test_changed_images_are_noticed(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.data.splits import Splits

    with monkeypatch.context() as patch:
        interrupt_in(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            searched()
    monkeypatch.setattr(Splits, "digest", "another")
    with pytest.raises(DataError, match="The data has changed since the search was started"):
        searched()


def test_a_recipe_that_cannot_train_is_an_error_before_the_first_trial(
    in_empty_folder: Path,
) -> None:
    with pytest.raises(DataError) as caught:
        searched("optimizer.gradient_accumulation_steps=11")
    assert str(caught.value) == (
        "optimizer.gradient_accumulation_steps: the weights would never change: an update takes "
        "11 steps, and training.epochs: 2 has 10. Lower it or data.batch_size, or train for more "
        "epochs."
    )
    (experiment,) = MlflowClient(open_store(None).uri).search_experiments(
        filter_string="name = 'few_digits'"
    )
    (search,) = open_store(None).client.search_runs([experiment.experiment_id])
    assert search.info.status == "FAILED"


def test_a_recipe_without_a_space_says_what_is_missing(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("recipe.yaml").write_text("data: {source: digits}\nmodel: {architecture: mlp}\n")
    assert main(["tune", "recipe.yaml"]) == 2
    assert capsys.readouterr().err == (
        "Error: recipe.yaml: the section tuning is missing. It defines what to search, for example "
        "tuning: {space: {optimizer.learning_rate: {log: [1e-4, 1e-1]}}}.\n"
    )


def test_a_search_that_does_not_exist_is_an_error(in_empty_folder: Path) -> None:
    with pytest.raises(UsageError) as refused:
        searched(resume="abc")
    assert str(refused.value) == (
        f"No search abc in {in_empty_folder}/mlruns/searches. Available: none."
    )
