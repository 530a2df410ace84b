from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.tracking.store import open_store
from pipeline.workflows.single_run import RunResult


def test_each_format_is_exported_compared_and_logged(
    digits_run: RunResult, in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", "latest", "--format", "keras", "--format", "saved_model"]
    assert main([*arguments, "--uri", digits_run.tracking_uri]) == 0
    first, second = capsys.readouterr().out.splitlines()
    expected = r"{} +\d\.\d MB +\d+\.\d ms/image   256 of 256 predictions as in Keras, .*   {}"
    assert re.fullmatch(expected.format("keras", "exports/digits/keras/model.keras"), first)
    assert re.fullmatch(
        expected.format("saved_model", "exports/digits/saved_model/saved_model"), second
    )
    metrics = open_store(digits_run.tracking_uri).client.get_run(digits_run.run_id).data.metrics
    assert metrics["export/saved_model/same_labels"] == 1
    assert metrics["export/saved_model/max_difference"] < 1e-6
    assert metrics["export/keras/milliseconds"] > 0


def test_it_compares_on_the_given_images(
    digits_run: RunResult,
    digit_files: Path,
    in_empty_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["export", "digits", "--format", "keras", "--images", str(digit_files)]
    assert main([*arguments, "--uri", digits_run.tracking_uri, "-o", "models"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "100 of 100 predictions as in Keras" in line
    assert line.endswith("   models/digits/keras/model.keras")
