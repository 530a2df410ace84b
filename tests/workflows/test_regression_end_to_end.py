"""Every command, for the ink of handwritten digits: a number for each image."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.cli import main
from pipeline.evaluation.predictions import read_predictions
from pipeline.inference.model_interface import load_interface
from pipeline.inference.pyfunc_model import _load_pyfunc
from pipeline.recipe.loader import load_recipe
from pipeline.tracking.lookup import files_of, find_model
from pipeline.tracking.store import open_store
from pipeline.tracking.stored_model import DATA
from pipeline.workflows import recipe_check
from pipeline.workflows.hyperparameter_search import tune
from pipeline.workflows.run_result import RunResult
from pipeline.workflows.single_run import run

Served = Callable[[Path, Sequence[Path]], list[dict[str, Any]]]

RECIPE = """\
name: ink
data:
  source: table
  task: regression
  path: ink.csv
  images: {images}
  columns: {{label: ink}}
  image_size: [8, 8]
  channels: 1
  batch_size: 16
  test: 0.3
model: {{architecture: mlp, hidden: []}}
optimizer: {{learning_rate: 1e-1}}
training: {{epochs: 40}}
"""


class Finished(NamedTuple):
    """A run of the recipe, in the working directory."""

    result: RunResult
    images: Path
    ink: dict[str, float]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, digit_files: Path) -> Iterator[Finished]:
    folder = tmp_path_factory.mktemp("ink")
    files = sorted(digit_files.iterdir())
    ink = {path.name: float(np.asarray(Image.open(path)).sum() / 100) for path in files}
    rows = ["image,ink", *(f"{name},{value}" for name, value in ink.items())]
    (folder / "ink.csv").write_text("\n".join(rows))
    (folder / "recipe.yaml").write_text(RECIPE.format(images=digit_files))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield Finished(run(load_recipe(Path("recipe.yaml"))), digit_files, ink)


@pytest.fixture
def model(finished: Finished) -> Iterator[Path]:
    """The directory of the files of the model."""
    store = open_store(None)
    with files_of(store, find_model(store, finished.result.run_id)) as folder:
        yield folder / DATA


def artifact(result: RunResult, name: str) -> Path:
    return Path(result.artifact_uri.removeprefix("file://"), name)


def test_the_ink_is_learned_in_its_unit(finished: Finished) -> None:
    metrics = finished.result.metrics
    spread = np.std(list(finished.ink.values()))
    assert metrics["test_mae"] < 0.35 * spread
    assert metrics["test_r2"] > 0.8
    assert metrics["test_mae_low"] < metrics["test_mae"] < metrics["test_mae_high"]
    assert f"test  mae {metrics['test_mae']:.4f}" in str(finished.result)
    predictions = read_predictions(artifact(finished.result, "predictions/test.parquet"))
    errors = np.abs(predictions.predicted - predictions.labels)
    assert errors.mean() == pytest.approx(metrics["test_mae"], rel=1e-5)
    names = [Path(name).name for name in predictions.names]
    np.testing.assert_allclose(predictions.labels, [finished.ink[name] for name in names])


def test_the_report_shows_residuals_and_the_worst_images(finished: Finished) -> None:
    page = artifact(finished.result, "report.html").read_text("utf-8")
    assert "<h3>Estimates and residuals</h3>" in page
    assert "Images with the largest errors" in page
    assert "Images per class" not in page


@pytest.mark.usefixtures("finished")
def test_short_trainings_check_the_recipe() -> None:
    found = recipe_check.check(Path("recipe.yaml")).training
    assert found.chance_loss == pytest.approx(1, rel=0.3)  # the variance in standard deviations
    assert found.overfit.is_learnt


def test_predictions_are_numbers(
    finished: Finished, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted(finished.images.iterdir())[:10]
    assert main(["predict", finished.result.run_id, *map(str, files)]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == ["file", "value", "error"]
    answers = _load_pyfunc(str(model)).predict(pd.DataFrame({"image": files}))
    json.dumps(answers.to_dict("records"))  # as a server answers
    for path, row, answer in zip(files, rows, answers.to_dict("records"), strict=True):
        assert float(row["value"]) == pytest.approx(finished.ink[path.name], abs=6)
        assert answer["value"] == pytest.approx(float(row["value"]), rel=1e-4)
    assert (load_interface(model).task, load_interface(model).class_names) == ("regression", ())


def test_the_scoring_server_answers_with_numbers(
    finished: Finished, model: Path, served: Served
) -> None:
    files = sorted(finished.images.iterdir())[:5]
    for path, row in zip(files, served(model, files), strict=True):
        assert row["value"] == pytest.approx(finished.ink[path.name], abs=6)


def test_a_table_evaluates_the_model(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    names = sorted(finished.ink)[:50]
    rows = ["image,value", *(f"{name},{finished.ink[name]}" for name in names)]
    Path("labelled.csv").write_text("\n".join(rows))
    arguments = ["--data", "labelled.csv", "--images", str(finished.images)]
    assert main(["evaluate", finished.result.run_id, *arguments]) == 0
    assert "ink on labelled.csv: mae 0." in capsys.readouterr().out


def test_the_exported_model_estimates_the_same(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    formats = ["--format", "openvino", "-o", "exports"]
    assert main(["export", finished.result.run_id, *formats]) == 0
    assert "20 of 20 predictions as in Keras" in capsys.readouterr().out


@pytest.mark.slow
def test_an_interrupted_run_resumes(finished: Finished, resumed: RunResult) -> None:
    assert resumed.metrics == finished.result.metrics


@pytest.mark.slow
@pytest.mark.usefixtures("finished")
def test_a_search_finds_a_better_estimate() -> None:
    search = "tuning: {trials: 2, space: {optimizer.learning_rate: {choice: [1e-5, 5e-2]}}}\n"
    Path("search.yaml").write_text(Path("recipe.yaml").read_text() + search)
    result = tune(load_recipe(Path("search.yaml"), ("training.folds=3",)))
    assert result.objective == "val_mae"
    assert result.best["score"] == min(row["val_mae"] for row in result.trials)
    assert result.final.metrics["cv_r2_mean"] > 0.2


def test_runs_are_compared_by_their_errors(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    worse = run(load_recipe(Path("recipe.yaml"), ("training.epochs=1", "name=worse")))
    assert main(["compare", finished.result.run_id, worse.run_id]) == 0
    shown = capsys.readouterr().out
    assert "test: worse vs. ink on the same 30 examples: worse" in shown
    assert "  mae +" in shown
