"""Every command, for an autoencoder of handwritten digits."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.cli import main
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
name: strokes
data: {source: digits, task: reconstruction, batch_size: 64}
model: {architecture: autoencoder, filters: [8], latent: 8}
optimizer: {learning_rate: 1e-2}
training: {epochs: 4}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunResult]:
    folder = tmp_path_factory.mktemp("strokes")
    (folder / "recipe.yaml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield run(load_recipe(Path("recipe.yaml")))


@pytest.fixture
def model(finished: RunResult) -> Iterator[Path]:
    """The directory of the files of the model."""
    store = open_store(None)
    with files_of(store, find_model(store, finished.run_id)) as folder:
        yield folder / DATA


def artifact(result: RunResult, name: str) -> str:
    return Path(result.artifact_uri.removeprefix("file://"), name).read_text("utf-8")


def test_digits_come_back_better_than_the_mean_digit(finished: RunResult) -> None:
    metrics = finished.metrics
    assert metrics["test_mse_low"] < metrics["test_mse"] < metrics["test_mse_high"] < 0.04
    assert f"test  mse {metrics['test_mse']:.4f}" in str(finished)
    table = json.loads(artifact(finished, "class_metrics/test.json"))
    assert [row[0] for row in table["data"]] == list("0123456789")


@pytest.mark.slow
@pytest.mark.usefixtures("finished")
def test_short_trainings_check_the_recipe() -> None:
    found = recipe_check.check(Path("recipe.yaml")).training
    assert found.chance_loss == pytest.approx(0.073, rel=0.05)  # of the mean digit
    assert found.overfit.is_learnt


def test_the_report_has_reconstructions_errors_and_the_latent_plane(finished: RunResult) -> None:
    page = artifact(finished, "report.html")
    for title in ("Originals and reconstructions", "Errors", "Latent plane"):
        assert page.count(f"<h3>{title}</h3>") == 2, title  # of both splits
    assert "Images with the largest errors" in page


def test_an_image_that_is_no_digit_is_an_anomaly(
    finished: RunResult, model: Path, digit_files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stripes = np.zeros((8, 8), np.uint8)
    stripes[::2, 1::2] = 255
    Image.fromarray(stripes).save("stripes.png")
    files = [Path("stripes.png"), *sorted(digit_files.iterdir())[:20]]
    assert main(["predict", finished.run_id, *map(str, files)]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == ["file", "reconstruction_error", "is_anomaly", "error"]
    assert rows[0]["is_anomaly"] == "true"
    assert sum(row["is_anomaly"] == "true" for row in rows[1:]) <= 4
    answers = _load_pyfunc(str(model)).predict(pd.DataFrame({"image": files}))
    json.dumps(answers.to_dict("records"))  # as a server answers
    for row, answer in zip(rows, answers.to_dict("records"), strict=True):
        expected = float(row["reconstruction_error"])
        assert answer["reconstruction_error"] == pytest.approx(expected, rel=1e-4)
    threshold, *others = load_interface(model).thresholds or ()
    assert not others
    assert float(rows[0]["reconstruction_error"]) > threshold


def test_the_scoring_server_answers_with_errors(
    model: Path, digit_files: Path, served: Served
) -> None:
    threshold, *_ = load_interface(model).thresholds or ()
    for row in served(model, sorted(digit_files.iterdir())[:5]):
        assert row["is_anomaly"] == (row["reconstruction_error"] > threshold)


def test_the_exported_model_draws_the_same(
    finished: RunResult, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", finished.run_id, "--format", "openvino", "-o", "exports"]) == 0
    assert "256 of 256 predictions as in Keras" in capsys.readouterr().out


@pytest.mark.slow
def test_an_interrupted_run_resumes(finished: RunResult, resumed: RunResult) -> None:
    assert resumed.metrics == finished.metrics


@pytest.mark.slow
@pytest.mark.usefixtures("finished")
def test_a_search_finds_more_numbers_better_than_one() -> None:
    search = "tuning: {trials: 2, space: {model.latent: {choice: [8, 1]}}}\n"
    Path("search.yaml").write_text(Path("recipe.yaml").read_text() + search)
    result = tune(load_recipe(Path("search.yaml")))
    assert result.objective == "val_mse"
    first, second = result.trials
    assert result.best["score"] == first["val_mse"] < second["val_mse"]


@pytest.mark.slow
def test_runs_are_compared_by_their_errors(
    finished: RunResult, capsys: pytest.CaptureFixture[str]
) -> None:
    worse = run(load_recipe(Path("recipe.yaml"), ("training.epochs=1", "name=worse")))
    assert main(["compare", finished.run_id, worse.run_id]) == 0
    shown = capsys.readouterr().out
    assert "test: worse vs. strokes on the same 269 examples: worse" in shown
    assert "  mse +" in shown
