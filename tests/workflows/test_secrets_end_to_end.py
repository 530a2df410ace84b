"""A secret of a recipe reaches neither the console nor any file or MLflow run."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from pipeline.cli import main
from pipeline.recipe.loader import load_recipe
from pipeline.tracking import background_writer
from pipeline.tracking.background_writer import RetrySchedule
from pipeline.workflows import single_run

SECRET = "correct horse's"

RECIPE = """\
name: zoo ${ZOO_TOKEN}
description: of ${ZOO_TOKEN}
data: {source: image_folder, path: "photographs of ${ZOO_TOKEN}", image_size: [8, 8]}
model: {architecture: mlp, hidden: [4]}
training: {epochs: 1}
tracking: {experiment: "ants ${ZOO_TOKEN}", uri: "sqlite:///${ZOO_TOKEN}.db"}
tuning:
  trials: 2
  space: {optimizer.learning_rate: {log: [1e-3, 1e-1]}}
"""


@pytest.fixture
def recipe(in_empty_folder: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe with a secret in every string that leaves it."""
    monkeypatch.setenv("ZOO_TOKEN", SECRET)
    monkeypatch.setattr(tempfile, "tempdir", str(in_empty_folder))
    monkeypatch.setattr(background_writer, "RETRIES", RetrySchedule(0.01, after_end=[0.0]))
    for split, count in {"train": 6, "val": 4}.items():
        for name in ("ants", "bees"):
            folder = Path(f"photographs of {SECRET}", split, name)
            folder.mkdir(parents=True)
            for file in sorted((photographs / split / name).glob("*.jpg"))[:count]:
                (folder / file.name).symlink_to(file)
    path = Path("recipe.yaml")
    path.write_text(RECIPE)
    return path


def assert_hidden(printed: Any) -> None:
    """Check everything printed, and every file but the database that the secret names."""
    escaped = SECRET.replace("'", "''")
    assert "horse" not in printed.out + printed.err
    for path in Path().rglob("*"):
        if path.is_symlink() or "photographs" in str(path):
            continue
        if path.name != f"{SECRET}.db":
            assert "horse" not in path.name
        if path.is_file():
            content = path.read_bytes()
            assert SECRET.encode() not in content, path
            assert escaped.encode() not in content, path


def test_a_search_hides_a_secret_and_its_best_recipe_can_be_used(
    recipe: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["tune", str(recipe), "--json"]) == 0
    printed = capfd.readouterr()
    assert_hidden(printed)
    result = json.loads(printed.out)
    assert result["name"] == "zoo ${ZOO_TOKEN}"
    assert result["tracking_uri"].endswith("/${ZOO_TOKEN}.db")
    best = load_recipe(Path(result["recipe"])).recipe
    assert best.name == f"zoo {SECRET}"
    client = MlflowClient(f"sqlite:///{SECRET}.db")
    (experiment,) = client.search_experiments(filter_string="name LIKE 'ants%'")
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 4  # the search, two trials, the best recipe
    assert "${ZOO_TOKEN}" in client.get_run(result["run_id"]).data.params["data.path"]


def test_a_password_in_an_address_is_in_the_best_recipe_alone(
    recipe: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # Written in the recipe itself, as is the archive that is there already.
    address = "https://keeper:hay-stack@zoo.example/ants.zip"
    download = f"{{url: '{address}', sha256: '{'0' * 64}'}}"
    text = RECIPE.replace("image_size", f"download: {download}, image_size", 1)
    recipe.write_text(text)
    assert main(["tune", str(recipe), "--json"]) == 0
    printed = capfd.readouterr()
    best = Path(json.loads(printed.out)["recipe"])
    assert "hay-stack" not in printed.out + printed.err
    holders = {
        path
        for path in Path().rglob("*")
        if path.is_file() and not path.is_symlink() and b"hay-stack" in path.read_bytes()
    }
    assert holders == {recipe, best}
    assert best.stat().st_mode & 0o777 == 0o600
    assert load_recipe(best).recipe.data.download.url == address  # type: ignore[attr-defined]
    assert f"# It contains a password or token of {recipe}: keep it private.\n" in best.read_text()
    assert SECRET not in best.read_text()


def test_errors_logs_and_the_outbox_hide_a_secret(
    recipe: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError(f"of a library, about {SECRET}")

    with monkeypatch.context() as patch:
        patch.setattr(single_run, "evaluate_splits", fail)
        assert main(["run", str(recipe)]) == 1
    printed = capfd.readouterr()
    assert_hidden(printed)
    error, bug = printed.err.splitlines()[-2:]
    assert error == "Error: ZeroDivisionError: of a library, about ${ZOO_TOKEN}"
    details = Path(bug.removesuffix(".").rpartition(" ")[2]).read_text()
    assert details.endswith("ZeroDivisionError: of a library, about ${ZOO_TOKEN}\n")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", fail)
        assert main(["run", str(recipe), "--set", "name=${ZOO_TOKEN}"]) == 0
    printed = capfd.readouterr()
    assert_hidden(printed)
    assert "WARNING: Some logs could not be sent to sqlite:///${ZOO_TOKEN}.db." in printed.err
    (outbox,) = Path("mlruns/outbox").iterdir()
    assert main(["sync", str(outbox)]) == 0
    assert_hidden(capfd.readouterr())
    run = MlflowClient(f"sqlite:///{SECRET}.db").get_run(outbox.name)
    assert (run.info.run_name, run.info.status) == ("${ZOO_TOKEN}", "FINISHED")
    assert "val_accuracy" in run.data.metrics
