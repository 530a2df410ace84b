"""Every command, for points in the plane."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from pipeline import api
from pipeline.cli import main
from pipeline.data.folds import pooled_images
from pipeline.data.generated import GeneratedConfig
from pipeline.inference.fresh_process import FreshProcess
from pipeline.inference.model_interface import load_interface
from pipeline.recipe.loader import load_recipe
from pipeline.stages import verify_model
from pipeline.tracking.lookup import files_of, find_model
from pipeline.tracking.store import open_store
from pipeline.tracking.stored_model import DATA
from pipeline.workflows import data_inspection, inspection_page, recipe_check
from pipeline.workflows.hyperparameter_search import tune
from pipeline.workflows.run_result import RunResult
from pipeline.workflows.single_run import run

RECIPE = """\
name: moons
data: {source: generated, kind: moons, batch_size: 8}
model: {architecture: mlp, hidden: [16]}
optimizer: {learning_rate: 5e-2}
training: {epochs: 15}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunResult]:
    """A run of the recipe, in the working directory."""
    folder = tmp_path_factory.mktemp("moons")
    (folder / "recipe.yaml").write_text(RECIPE)
    (folder / "points.csv").write_text("x2,x1\n1,0\n-0.5,1\n,1\nabc,2\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield run(load_recipe(Path("recipe.yaml")))


def test_a_small_network_divides_the_points(finished: RunResult) -> None:
    assert finished.metrics["test_accuracy"] == 1
    assert finished.images == {"train": 120, "val": 40, "test": 40}
    assert "on 40 examples" in str(finished)


@pytest.mark.usefixtures("finished")
def test_the_rows_of_a_table_are_predicted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "latest", "points.csv", "--top", "1"]) == 1
    captured = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(captured.out)))
    assert [(row["file"], row["line"]) for row in rows] == [
        ("points.csv", str(n)) for n in (2, 3, 4, 5)
    ]
    assert [row["class_1"] for row in rows] == ["0", "1", "", ""]
    assert [row["error"] for row in rows[2:]] == [
        "x2: expected a number. Received: nothing",
        "x2: expected a number. Received: abc",
    ]
    assert captured.err.endswith("WARNING: 2 rows could not be read. See the column `error`.\n")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "one.csv",
            "x1\n1\n",
            "one.csv has no column x2. Expected a column for each number that the model takes: x1, "
            "x2.",
        ),
        ("none.csv", None, "No such file: none.csv"),
        (
            "photograph.jpg",
            "",
            "photograph.jpg is not a table that can be read. Expected a file with one of these "
            "suffixes: .csv, .tsv, .tab, .jsonl, .ndjson, .parquet, .pq.",
        ),
    ],
)
@pytest.mark.usefixtures("finished")
def test_what_is_no_table_of_the_numbers_is_an_error(
    name: str, content: str | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        Path(name).write_text(content)
    assert main(["predict", "latest", name]) == 2
    assert capsys.readouterr().err == f"Error: {message}\n"


def test_python_predicts_rows_with_their_lines(finished: RunResult) -> None:
    model = api.load(finished.run_id)
    table = model.predict("points.csv")
    assert [(one.label, one.line) for one in table] == [("0", 2), ("1", 3), ("", 4), ("", 5)]
    assert "<td>3</td>" in table._repr_html_()
    assert model.image_size is None
    assert "x1, x2" in model._repr_html_()


def test_mlflow_takes_a_column_for_each_number(
    finished: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", finished.tracking_uri)
    model = mlflow.pyfunc.load_model(finished.model_uri)
    assert [column.name for column in model.metadata.get_input_schema()] == ["x1", "x2"]
    table = pd.DataFrame({"x2": [1.0, -0.5], "x1": [0.0, 1.0]})
    assert model.predict(table)["class"].tolist() == ["0", "1"]
    assert model.predict(model.input_example)["error"].tolist() == [""]


def test_the_logged_model_keeps_the_names_of_its_numbers(finished: RunResult) -> None:
    store = open_store(None)
    with files_of(store, find_model(store, finished.run_id)) as directory:
        interface = load_interface(directory / DATA)
    assert (interface.decoding, interface.feature_names) == (None, ("x1", "x2"))


@pytest.mark.slow
def test_a_fresh_process_predicts_numbers_and_writes_their_graph(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_model, "FreshProcess", FreshProcess)
    (in_empty_folder / "recipe.yaml").write_text(RECIPE)
    result = run(load_recipe(Path("recipe.yaml"), {"training.epochs": 1}))
    assert result.metrics["verification/max_difference"] < 1e-5
    with files_of(open_store(None), find_model(open_store(None), result.run_id)) as directory:
        assert (directory / DATA / "graph.xml").is_file()


@pytest.mark.slow
@pytest.mark.usefixtures("finished")
def test_a_search_varies_the_network_and_the_points() -> None:
    space = "{model.hidden: {choice: [[1], [16]]}, optimizer.learning_rate: {log: [1e-2, 1e-1]}}"
    text = f"{RECIPE}tuning: {{tuner: random, trials: 3, space: {space}}}\n"
    Path("search.yaml").write_text(text)
    result = tune(load_recipe(Path("search.yaml"), {"training.epochs": 4}))
    assert len(result.trials) == 3
    assert result.final.metrics["val_accuracy"] > 0.8


@pytest.mark.usefixtures("finished")
def test_an_export_predicts_as_keras_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "latest", "--format", "openvino", "-o", str(tmp_path)]) == 0
    assert "40 of 40 predictions as in Keras" in capsys.readouterr().out


def test_the_report_shows_the_boundary_by_epoch_and_what_each_unit_computes(
    finished: RunResult,
) -> None:
    artifacts = Path(finished.artifact_uri.removeprefix("file://"))
    page = (artifacts / "report.html").read_text("utf-8")
    shown = ("<h3>Decision boundary</h3>", "epoch 1<", "epoch 10<", ": this model<", "unit 8<")
    assert [text for text in shown if text not in page] == []
    assert {"decision_boundary.png", "hidden_units.png"} <= {
        path.name for path in (artifacts / "figures").iterdir()
    }


def test_the_report_has_nothing_of_images(finished: RunResult) -> None:
    page = Path(finished.artifact_uri.removeprefix("file://"), "report.html").read_text("utf-8")
    absent = ("Grad-CAM", "Duplicate images", "Augmented training images", "Unreadable files")
    assert [text for text in absent if text in page] == []
    assert "Confusion matrix" in page


@pytest.mark.usefixtures("finished")
def test_inspect_shows_the_values_of_each_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", "recipe.yaml"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("recipe.yaml: 200 examples of 2 classes\n")
    assert "x1         -1 to 2, median 0.5\n" in shown
    assert "gray" not in shown
    page = tmp_path / "page.html"
    inspection = data_inspection.inspect(Path("recipe.yaml"))
    inspection_page.write_page(inspection, page)
    assert "Unreadable" not in page.read_text("utf-8")
    assert json.dumps(inspection.to_dict())


@pytest.mark.usefixtures("finished")
def test_short_trainings_check_the_recipe(tmp_path: Path) -> None:
    checked = recipe_check.check(Path("recipe.yaml"))
    assert checked.training.overfit.is_learnt
    assert not checked.training.examples
    recipe_check.write_page(checked, tmp_path / "check.html")
    assert "Images as the model takes them" not in (tmp_path / "check.html").read_text("utf-8")


def test_the_rows_of_another_table_evaluate_the_model(
    finished: RunResult, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("more.csv").write_text("x1,x2,label\n0,1,0\n1,-0.5,1\n-1,0,1\n")
    assert main(["evaluate", finished.run_id, "--data", "more.csv"]) == 0
    shown = capsys.readouterr().out
    assert "moons on more.csv: accuracy 0.6667 (" in shown
    (run_id,) = re.findall(r"run (\w{32}) ", shown)
    report = Path(finished.artifact_uri.replace(finished.run_id, run_id).removeprefix("file://"))
    page = (report / "report.html").read_text("utf-8")
    assert '<h2 id="eval">more.csv</h2>' in page
    assert main(["evaluate", finished.run_id, "--data", "."]) == 1
    assert "is not a table that can be read" in capsys.readouterr().err


def test_folds_have_numbers_too() -> None:
    splits = GeneratedConfig.model_validate({"source": "generated", "kind": "xor"}).load()
    pool = pooled_images(splits)
    assert pool.images.read(np.arange(3)).dtype == np.float32
