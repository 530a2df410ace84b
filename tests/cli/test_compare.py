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
from pipeline.tracking.store import open_store

COUNT = 200


def record(name: str, *, right: int, first: int) -> None:
    """Record a run that is right about so many of 200 images, numbered from `first`."""
    labels = np.arange(COUNT) % 2
    chosen = np.where(np.arange(COUNT) < right, labels, 1 - labels)
    digests = [f"{number:064x}" for number in range(first, first + COUNT)]
    given = Predictions(("ants", "bees"), digests, digests, labels, np.eye(2)[chosen] * 0.8 + 0.1)

    def write(folder: Path) -> None:
        (folder / "predictions").mkdir()
        predictions.write_predictions(given, folder / "predictions" / "val.csv")

    run_logger = run_loggers.start_run(
        open_store(None), experiment="ants", name=name, description=""
    )
    run_logger.log_params({"model.hidden": f"[{right}]", "seed": "42"})
    run_logger.log_metrics({"val_accuracy": right / COUNT})
    run_logger.log_artifacts(write)
    run_logger.end("FINISHED")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("runs"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        record("old", right=150, first=0)
        record("new", right=190, first=0)
        record("elsewhere", right=190, first=1000)
        yield


def test_the_better_one_is_named(runs: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "old", "new", "-o", "compared.html"]) == 0
    out, err = capsys.readouterr()
    assert "val: new against old, on the same 200 images: better\n  accuracy +0.2000" in out
    assert "recipe        old    new\nmodel.hidden  [150]  [190]\n" in out
    assert err == "Written to compared.html\n"
    assert "better<strong>+0.2000</strong>" in Path("compared.html").read_text()


def test_runs_on_other_images_are_not_paired(
    runs: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "new", "elsewhere"]) == 0
    out = capsys.readouterr().out
    assert "val: elsewhere against new: The two are not of the same images" in out
    assert "better" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new"], "Error: compare: expected two runs or more. Received one.\n"),
        (
            ["new", "old", "-o", "x.txt"],
            "Error: -o: expected a name that ends in .html or .csv. Received: x.txt\n",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(
    in_empty_folder: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["compare", *arguments]) == 2
    assert capsys.readouterr().err == message
