"""Every command, for digits that may be even, prime, both or neither."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

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
name: numbers
data:
  source: table
  task: multi_label
  path: labels.csv
  images: {images}
  image_size: [8, 8]
  channels: 1
  batch_size: 16
  test: 0.3
model: {{architecture: mlp, hidden: [32]}}
optimizer: {{learning_rate: 5e-3}}
training: {{epochs: 12}}
"""


class Finished(NamedTuple):
    """A run of the recipe, in the working directory."""

    result: RunResult
    images: Path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, digit_files: Path) -> Iterator[Finished]:
    folder = tmp_path_factory.mktemp("numbers")
    rows = [("image", "even", "prime")]
    for path in sorted(digit_files.iterdir()):
        digit = int(path.stem.rpartition("_")[2])
        rows.append((path.name, str(int(digit % 2 == 0)), str(int(digit in (2, 3, 5, 7)))))
    (folder / "labels.csv").write_text("\n".join(map(",".join, rows)))
    (folder / "recipe.yaml").write_text(RECIPE.format(images=digit_files))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield Finished(run(load_recipe(Path("recipe.yaml"))), digit_files)


@pytest.fixture
def model(finished: Finished) -> Iterator[Path]:
    """The directory of the files of the model."""
    store = open_store(None)
    with files_of(store, find_model(store, finished.result.run_id)) as folder:
        yield folder / DATA


def artifact(result: RunResult, name: str) -> str:
    return Path(result.artifact_uri.removeprefix("file://"), name).read_text("utf-8")


def test_the_labels_are_learned(finished: Finished) -> None:
    metrics = finished.result.metrics
    assert metrics["test_mean_average_precision"] > 0.85
    assert metrics["test_f1_macro_low"] < metrics["test_f1_macro"] < metrics["test_f1_macro_high"]
    summary = str(finished.result)
    assert f"test  mean_average_precision {metrics['test_mean_average_precision']:.4f}" in summary


@pytest.mark.usefixtures("finished")
def test_short_trainings_check_the_recipe() -> None:
    found = recipe_check.check(Path("recipe.yaml")).training
    assert found.chance_loss == pytest.approx(math.log(2), rel=1e-4)  # each class by itself
    assert found.overfit.is_learnt
    captions = {each.caption for each in found.examples}
    assert {"even"} < captions <= {"even, prime", "even", "prime", "none"}


def test_the_report_has_the_thresholds_and_the_wrong_images(
    finished: Finished, model: Path
) -> None:
    page = artifact(finished.result, "report.html")
    assert "Images with wrong labels and the highest loss" in page
    table = json.loads(artifact(finished.result, "class_metrics/test.json"))
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert [row["class"] for row in rows] == ["even", "prime"]
    interface = load_interface(model)
    assert (interface.task, interface.class_names) == ("multi_label", ("even", "prime"))
    assert interface.thresholds == tuple(row["threshold"] for row in rows)
    for row in rows:
        assert f"<td>{row['threshold']:.3f}</td>" in page


def test_an_image_of_two_classes_is_counted_once(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", "recipe.yaml", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["images"] == sum(finished.result.images.values()) == 100
    counted = sum(sum(of_class.values()) for of_class in shown["classes"].values())
    assert counted != 100


def test_predictions_are_sets_of_classes(
    finished: Finished, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted(finished.images.iterdir())[:20]
    assert main(["predict", finished.result.run_id, *map(str, files), "--top", "2"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    served = _load_pyfunc(str(model)).predict(pd.DataFrame({"image": files}))
    json.dumps(served.to_dict("records"))  # as a server answers
    thresholds = dict(zip(("even", "prime"), load_interface(model).thresholds or (), strict=True))
    sizes = set()
    for row, answer in zip(rows, served.to_dict("records"), strict=True):
        expected = [
            row[f"class_{rank}"]
            for rank in (1, 2)
            if float(row[f"probability_{rank}"]) >= thresholds[row[f"class_{rank}"]]
        ]
        assert row["classes"] == "|".join(expected)
        assert answer["classes"] == expected
        sizes.add(len(expected))
    assert len(sizes) > 1


def test_the_scoring_server_answers_with_sets_of_classes(
    finished: Finished, model: Path, served: Served
) -> None:
    rows = served(model, sorted(finished.images.iterdir())[:5])
    assert all(set(row["classes"]) <= {"even", "prime"} for row in rows)
    assert any(row["classes"] for row in rows)


def test_prediction_sets_are_refused(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    file = next(finished.images.iterdir())
    arguments = ["predict", finished.result.run_id, str(file), "--confidence-level", "0.9"]
    assert main(arguments) == 2
    assert capsys.readouterr().err.endswith(
        "Error: Prediction sets are for images or rows of exactly one class, and the task of the "
        "model is multi_label. Predict without a confidence level.\n"
    )


def test_a_table_is_evaluated(finished: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    images = str(finished.images)
    arguments = ["evaluate", finished.result.run_id, "--data", "labels.csv", "--images", images]
    assert main(arguments) == 0
    assert "numbers on labels.csv: mean_average_precision 0." in capsys.readouterr().out
    assert main(["evaluate", finished.result.run_id, "--data", images]) == 1
    assert capsys.readouterr().err.endswith(
        f"Error: {images} is a directory, and the task of the model is multi_label. Expected a "
        "table of images with their labels, such as labels.csv.\n"
    )


def test_an_export_decides_as_the_model_does(finished: Finished) -> None:
    assert main(["export", finished.result.run_id, "--format", "keras"]) == 0
    interface = load_interface(Path("exports/numbers/keras"))
    assert interface.thresholds is not None


@pytest.mark.slow
def test_an_interrupted_run_resumes(finished: Finished, resumed: RunResult) -> None:
    assert resumed.metrics == finished.result.metrics


@pytest.mark.slow
def test_a_search_maximizes_mean_average_precision(finished: Finished) -> None:
    Path("search.yaml").write_text(
        Path("recipe.yaml").read_text()
        + "tuning: {trials: 2, space: {optimizer.learning_rate: {choice: [5e-3, 1e-4]}}}\n"
    )
    result = tune(load_recipe(Path("search.yaml"), ("training.folds=3", "training.epochs=4")))
    assert result.objective == "val_mean_average_precision"
    scores = [row["val_mean_average_precision"] for row in result.trials]
    assert result.best["score"] == max(scores)
    assert result.final.metrics["cv_f1_macro_mean"] > 0.3


@pytest.mark.slow
def test_runs_are_compared_by_exact_matches(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    other = run(load_recipe(Path("recipe.yaml"), ("training.loss=asymmetric_cross_entropy",)))
    assert main(["compare", finished.result.run_id, other.run_id]) == 0
    text = capsys.readouterr().out
    difference = other.metrics["test_exact_match"] - finished.result.metrics["test_exact_match"]
    assert f"  exact_match {difference:+.4f} (" in text
    assert "  mean_average_precision " in text
    assert np.isfinite(other.metrics["test_log_loss"])
