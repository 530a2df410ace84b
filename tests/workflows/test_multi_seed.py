"""Several seeds: child runs of one run, and the statistics over them."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.cli import main
from pipeline.cluster.cluster import Lost, UnfitMachineError
from pipeline.errors import DivergedError, PipelineError
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.loader import load_recipe
from pipeline.stages.train_model import TrainedModel, train_model
from pipeline.tracking.store import checkpoint_directory, newest_run, open_store
from pipeline.workflows import multi_seed, single_run
from pipeline.workflows.multi_seed import run_seeds
from pipeline.workflows.seed_worker import SeedOutcome, make_seed_worker

RECIPE = """\
name: few_digits
seed: 5
data: {source: digits, batch_size: 128}
model: {architecture: mlp, hidden: [16]}
optimizer: {learning_rate: 1e-2}
training: {epochs: 1}
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], Any]]:
    """What `--json` prints, which is one object and nothing else, and the store's client."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.chdir(tmp_path_factory.mktemp("seeds"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        Path("recipe.yaml").write_text(RECIPE)
        assert main(["run", "recipe.yaml", "--seeds", "2", "--json"]) == 0
        yield json.loads(printed.getvalue()), open_store(None).client


def test_each_seed_is_a_run_under_one_run(done: tuple[dict[str, Any], Any]) -> None:
    result, client = done
    children = [client.get_run(single["run_id"]) for single in result["runs"]]
    assert [child.data.params["seed"] for child in children] == ["5", "6"]
    parents = {child.data.tags["mlflow.parentRunId"] for child in children}
    assert parents == {result["parent_run_id"]}
    parent = client.get_run(result["parent_run_id"])
    assert (parent.info.run_name, parent.info.status) == ("few_digits, 2 seeds", "FINISHED")
    assert parent.data.params["seed"] == "5 to 6"


def test_another_seed_gives_another_run_on_the_same_images(
    done: tuple[dict[str, Any], Any],
) -> None:
    result, client = done
    losses = [single["metrics"]["val_log_loss"] for single in result["runs"]]
    assert losses[0] != losses[1]
    first, second = (
        client.get_run(single["run_id"]).inputs.dataset_inputs[0].dataset.digest
        for single in result["runs"]
    )
    assert first == second


def test_the_metrics_of_all_are_the_mean_and_the_spread_of_each(
    done: tuple[dict[str, Any], Any],
) -> None:
    result, client = done
    values = np.array([single["metrics"]["val_accuracy"] for single in result["runs"]])
    assert values[0] != values[1]
    spread = result["metrics"]["val_accuracy"]
    assert spread["mean"] == pytest.approx(values.mean())
    assert spread["std"] == pytest.approx(values.std(ddof=1))
    # Student's t of one degree of freedom, for 95 %.
    reach = 12.7062047 * spread["std"] / 2**0.5
    assert spread["mean_low"] == pytest.approx(max(spread["mean"] - reach, 0))
    assert spread["mean_high"] == pytest.approx(min(spread["mean"] + reach, 1))
    logged = client.get_run(result["parent_run_id"]).data.metrics
    assert logged["val_accuracy_mean"] == spread["mean"]
    assert logged["val_accuracy_std"] == spread["std"]
    assert logged["val_accuracy_mean_low"] == spread["mean_low"]
    assert logged["val_accuracy_mean_high"] == spread["mean_high"]
    # An interval over images has another name than one over seeds.
    assert "val_accuracy_low" in client.get_run(result["runs"][0]["run_id"]).data.metrics
    assert not {"val_accuracy", "val_accuracy_low", "val_accuracy_high"} & set(logged)


def test_a_seed_that_diverges_is_counted_and_the_others_are_kept(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(recipe: Recipe, *arguments: Any, **named: Any) -> TrainedModel:
        if recipe.seed == 6:
            raise DivergedError("The loss became nan in epoch 1.")
        return train_model(recipe, *arguments, **named)

    monkeypatch.setattr(single_run, "train_model", train)
    Path("recipe.yaml").write_text(RECIPE)
    result = run_seeds(load_recipe(Path("recipe.yaml")), 3)
    assert str(result).startswith("few_digits: 2 of 3 seeds; seed 6 diverged\n")
    assert result.diverged == {6: "The loss became nan in epoch 1."}
    accuracies = [single.metrics["val_accuracy"] for single in result.runs]
    assert result.metrics["val_accuracy"].mean == pytest.approx(np.mean(accuracies))
    parent = open_store(None).client.get_run(result.parent_run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["seeds"] == "2 of 3 seeds; seed 6 diverged"
    counts = parent.data.metrics["seeds/finished"], parent.data.metrics["seeds/diverged"]
    assert counts == (2, 1)


def test_seeds_that_all_diverge_are_an_error(in_empty_folder: Path) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    changes = ("optimizer={name: sgd, learning_rate: 1e30}",)
    with pytest.raises(DivergedError, match=r"^All 2 seeds diverged\. The loss became "):
        run_seeds(load_recipe(Path("recipe.yaml"), changes), 2)
    store = open_store(None)
    child = newest_run(store)
    parent = store.client.get_run(child.data.tags["mlflow.parentRunId"])
    assert (child.info.status, parent.info.status) == ("FAILED", "FAILED")
    assert parent.data.tags["reason"].startswith("All 2 seeds diverged. The loss became ")


class FakeCluster:
    """Gives outcomes that are known before."""

    at_once = 2

    def __init__(self, *outcomes: SeedOutcome | Lost) -> None:
        self.outcomes = outcomes

    def results(self, make_worker: Any, pieces: Iterator[Any], *, retries: int) -> Iterator[Any]:
        return zip(pieces, self.outcomes, strict=True)


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        (
            (SeedOutcome(None, "nan", "images"), Lost("A process died.", memory=False)),
            "Seed 6 could not be trained. A process died. Use fewer --workers, or a machine with "
            "more memory.",
        ),
        (
            (SeedOutcome(None, "nan", "images"), SeedOutcome(None, "nan", "others")),
            "Seed 6 was trained on other data than the seeds before: its digest is others, "
            "that of the others is images. Copy the same data to every machine.",
        ),
    ],
)
def test_a_seed_that_cannot_be_compared_ends_all_of_them(
    outcomes: tuple[Any, ...],
    message: str,
    in_empty_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = contextlib.nullcontext(FakeCluster(*outcomes))
    monkeypatch.setattr(multi_seed, "open_cluster", lambda *_, **__: cluster)
    Path("recipe.yaml").write_text(RECIPE)
    with pytest.raises(PipelineError) as error:
        run_seeds(load_recipe(Path("recipe.yaml")), 2, workers=2)
    assert str(error.value) == message
    assert newest_run(open_store(None)).info.status == "FAILED"


def test_a_machine_without_the_run_of_the_seeds_takes_no_part(in_empty_folder: Path) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    with pytest.raises(UnfitMachineError) as refused:
        make_seed_worker(load_recipe(Path("recipe.yaml")), "0" * 32)
    assert str(refused.value) == (
        "The run of the seeds is not in its tracking store, "
        f"sqlite:///{in_empty_folder}/mlruns/mlflow.db. Set tracking.uri to a tracking server that "
        "all machines reach."
    )


@pytest.mark.slow
def test_seeds_in_two_processes_are_those_of_one(
    done: tuple[dict[str, Any], Any], in_empty_folder: Path
) -> None:
    one, _ = done
    Path("recipe.yaml").write_text(RECIPE)
    result = run_seeds(load_recipe(Path("recipe.yaml")), 2, workers=2)
    losses = [single.metrics["val_log_loss"] for single in result.runs]
    assert losses == pytest.approx([single["metrics"]["val_log_loss"] for single in one["runs"]])
    client = open_store(None).client
    children = [client.get_run(single.run_id) for single in result.runs]
    assert [child.data.params["seed"] for child in children] == ["5", "6"]
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {result.parent_run_id}


def test_workers_without_seeds_or_folds_are_an_error(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    assert main(["run", "recipe.yaml", "--workers", "2"]) == 2
    assert capsys.readouterr().err == (
        "Error: --workers is for several seeds or folds. Use it together with --seeds N or "
        "training.folds.\n"
    )


@pytest.fixture
def interrupted(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Interrupt seed 6 in its second epoch, once; return the seeds that are trained, in order."""
    trained: list[int] = []

    def train(recipe: Recipe, *arguments: Any, on_epoch: Any, **named: Any) -> TrainedModel:
        trained.append(recipe.seed)

        def report(epoch: int, *rest: Any) -> None:
            if recipe.seed == 6 and epoch == 2 and trained.count(6) == 1:
                raise KeyboardInterrupt
            on_epoch(epoch, *rest)

        return train_model(recipe, *arguments, on_epoch=report, **named)

    monkeypatch.setattr(single_run, "train_model", train)
    Path("recipe.yaml").write_text(RECIPE)
    return trained


@pytest.mark.slow
def test_interrupted_seeds_resume_together(interrupted: list[int], messages: list[str]) -> None:
    loaded = load_recipe(Path("recipe.yaml"), ("training.epochs=3",))
    with pytest.raises(KeyboardInterrupt):
        run_seeds(loaded, 3)
    client = open_store(None).client
    child = newest_run(open_store(None))
    parent = child.data.tags["mlflow.parentRunId"]
    assert client.get_run(parent).info.status == child.info.status == "KILLED"
    assert [message for message in messages if "Resume with" in message] == [
        f"Resume with: pipeline run recipe.yaml --set training.epochs=3 --seeds 3 --resume {parent}"
    ]
    result = run_seeds(loaded, 3, resume="latest")
    assert interrupted == [5, 6, 6, 7]
    assert result.parent_run_id == parent
    assert result.runs[1].run_id == child.info.run_id  # from its checkpoint
    assert [client.get_run(each.run_id).data.tags["seed"] for each in result.runs] == list("567")
    assert str(result).startswith("few_digits: 3 seeds\n")
    assert client.get_run(parent).info.status == "FINISHED"
    assert not checkpoint_directory(parent).exists()


def test_a_run_and_the_run_of_several_seeds_are_not_mistaken(
    interrupted: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = load_recipe(Path("recipe.yaml"), ("training.epochs=3",))
    with pytest.raises(KeyboardInterrupt):
        run_seeds(loaded, 2)
    child = newest_run(open_store(None))
    parent = child.data.tags["mlflow.parentRunId"]
    command = ["run", "recipe.yaml", "--set", "training.epochs=3", "--resume"]
    for arguments, message in (
        (
            [parent],
            f"Run {parent} has one run per seed. Resume it with --seeds N, as it was started.",
        ),
        (
            [child.info.run_id, "--seeds", "2"],
            f"Run {child.info.run_id} has no runs of several seeds. Resume it without --seeds.",
        ),
        ([parent, "--seeds", "4"], f"Run {parent} has 2 seeds. Resume it with --seeds 2."),
        (
            ["latest"],
            f"Run {parent} has one run per seed. Resume it with --seeds N, as it was started.",
        ),
    ):
        capsys.readouterr()
        assert main([*command, *arguments]) == 2
        assert capsys.readouterr().err == f"Error: {message}\n"
