"""Runs without a validation split: every image outside the test split is trained on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import api
from pipeline.cli import main
from pipeline.recipe.loader import load_recipe
from pipeline.tracking.store import open_store
from pipeline.workflows.multi_seed import SeedsResult
from pipeline.workflows.single_run import RunResult, run

DIGITS = """\
name: all_digits
data: {source: digits, batch_size: 64, validation: 0, test: 0.15}
model: {architecture: mlp, hidden: [64]}
optimizer: {learning_rate: 5e-3}
training: {epochs: 5}
"""
PHOTOGRAPHS = """\
name: all_photographs
data: {source: image_folder, path: photographs, image_size: [32, 32], validation: 0}
model: {architecture: lenet}
training: {epochs: 1}
"""


def run_of(text: str, *overrides: str) -> RunResult:
    Path("recipe.yaml").write_text(text)
    return run(load_recipe(Path("recipe.yaml"), overrides))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A run on the digits, with a test split."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("run"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return run_of(DIGITS)


def test_the_last_epoch_is_kept_and_tested(finished: RunResult) -> None:
    assert finished.images == {"train": 1528, "test": 269}
    assert finished.best_epoch is None
    assert finished.metrics["test_accuracy"] > 0.9
    lines = str(finished).splitlines()
    assert lines[0] == "all_digits: last epoch of 5, without validation"
    assert lines[1].startswith("  test  accuracy 0.9")
    assert lines[1].endswith("  on 269 images  (evaluated once, at the end)")


def test_no_metric_is_of_validation_images(finished: RunResult) -> None:
    logged = open_store(finished.tracking_uri).client.get_run(finished.run_id).data.metrics
    assert [name for name in logged if "val_" in name or "best" in name] == []
    assert logged["test_accuracy"] == finished.metrics["test_accuracy"]
    assert "epoch/accuracy" in logged


def test_the_report_explains_the_test_images(finished: RunResult) -> None:
    assert finished.report
    page = finished.report.read_text("utf-8")
    assert "The model was trained without validation images." in page
    assert "It has the weights of the last epoch of 5." in page
    assert "Misclassified images with the highest loss" in page
    assert "alidation accuracy" not in page
    figures = {path.stem for path in (finished.report.parent / "figures").iterdir()}
    assert {"learning_curves", "test_worst_errors"} <= figures
    assert not any(name.startswith("val_") for name in figures)


def test_an_interrupted_run_resumes_as_if_it_had_not_been_interrupted(
    finished: RunResult, in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.training.progress_display import ProgressDisplay

    def interrupt_after_three(display: Any, epoch: int, logs: Any = None) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ProgressDisplay, "on_epoch_end", interrupt_after_three)
        with pytest.raises(KeyboardInterrupt):
            run_of(DIGITS)
    result = run(load_recipe(Path("recipe.yaml")), resume="latest")
    assert (result.metrics, result.epochs) == (finished.metrics, 5)


def test_photographs_without_a_test_split_give_a_model_without_metrics(
    photographs: Path, in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = []
    for name in ("ants", "bees"):
        folder = Path("photographs", name)
        folder.mkdir(parents=True)
        for file in sorted((photographs / "train" / name).glob("*.jpg"))[:8]:
            files.append(folder / file.name)
            files[-1].write_bytes(file.read_bytes())
    Path("recipe.yaml").write_text(PHOTOGRAPHS)
    assert main(["run", "recipe.yaml", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    result = RunResult(**{**printed, "registered": None})
    assert result.best_epoch is None
    assert (result.status, result.metrics) == ("FINISHED", {})
    assert result.images == {"train": 16}
    assert str(result).startswith("all_photographs: last epoch of 1, without validation\n  ")
    assert "last epoch of 1, without validation" in result._repr_html_()
    assert result.report
    assert "95 % interval" not in result.report.read_text("utf-8")
    predicted = api.load(result.run_id, tracking_uri=result.tracking_uri).predict(files[:2])
    assert len(predicted) == 2


@pytest.mark.parametrize("is_tested", [True, False])
def test_the_runs_of_seeds_show_the_accuracy_that_there_is(
    finished: RunResult, is_tested: bool
) -> None:
    single = finished if is_tested else dataclasses.replace(finished, metrics={})
    result = SeedsResult("parent", "all_digits", "store", {}, [single, single], {})
    shown = f"  test_accuracy {finished.metrics['test_accuracy']:.4f}" if is_tested else ""
    assert str(result).splitlines()[1:3] == [f"  run {finished.run_id}{shown}"] * 2
