"""pipeline compare, on runs in a store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli import main
from pipeline.evaluation import predictions
from pipeline.evaluation.predictions import Predictions
from pipeline.tracking import run_logger as run_loggers
from pipeline.tracking.lookup import find_run
from pipeline.tracking.store import open_store

COUNT = 200


def record(name: str, *, correct: int, first: int) -> None:
    """Log a run whose model classifies `correct` of 200 images correctly, from image `first`."""
    labels = np.arange(COUNT) % 2
    predicted = np.where(np.arange(COUNT) < correct, labels, 1 - labels)
    digests = [f"{number:064x}" for number in range(first, first + COUNT)]
    probabilities = np.eye(2)[predicted] * 0.8 + 0.1
    stored = Predictions(("ants", "bees"), digests, digests, labels, probabilities)
    run_logger = run_loggers.start_run(
        open_store(None), experiment="ants", name=name, description=""
    )
    run_logger.log_params({"model.hidden": f"[{correct}]", "seed": "42"})
    run_logger.log_metrics({"val_accuracy": correct / COUNT})
    with run_logger.log_artifacts() as folder:
        (folder / "predictions").mkdir()
        predictions.write_predictions(stored, folder / "predictions" / "val.parquet")
    run_logger.end("FINISHED")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("runs"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        record("old", correct=150, first=0)
        record("new", correct=190, first=0)
        record("elsewhere", correct=190, first=1000)
        yield


def test_the_better_run_is_named(runs: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "old", "new", "-o", "compared.html"]) == 0
    out, err = capsys.readouterr()
    assert "val: new vs. old on the same 200 examples: better\n  accuracy +0.2000" in out
    assert "recipe        old    new\nmodel.hidden  [150]  [190]\n" in out
    assert err == "Wrote compared.html\n"
    assert "accuracy: better<strong>+0.2000</strong>" in Path("compared.html").read_text()


def test_runs_on_other_images_are_not_compared(
    runs: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "new", "elsewhere"]) == 0
    out = capsys.readouterr().out
    assert "val: elsewhere vs. new: The models were not evaluated on the same examples" in out
    assert "better" not in out


def test_a_run_is_not_compared_with_itself(runs: None, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = find_run(open_store(None), "new").info.run_id
    assert main(["compare", "new", "old", run_id]) == 2
    message = f"Error: compare: expected different runs. new ({run_id}) is named twice.\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new"], "Error: compare: expected at least two runs. Received one.\n"),
        (
            ["new", "old", "-o", "x.txt"],
            "Error: -o: expected the name of an .html or .csv file. Received: x.txt\n",
        ),
    ],
)
def test_invalid_arguments_are_errors(
    in_empty_folder: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["compare", *arguments]) == 2
    assert capsys.readouterr().err == message
