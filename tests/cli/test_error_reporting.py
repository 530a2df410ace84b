from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

import pipeline
from pipeline.cli.error_reporting import run_guarded
from pipeline.errors import DataError, RecipeError, RecipeProblem, TrainingError, UsageError


def raising(error: BaseException) -> Callable[[], Any]:
    def command() -> None:
        raise error

    return command


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the details of unforeseen failures are written to."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("result", "code"), [(None, 0), (2, 2), ("text", 0)])
def test_a_command_that_returns_has_that_exit_code(result: Any, code: int) -> None:
    assert run_guarded(lambda: result) == code


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (DataError("No images."), 1, "Error: No images.\n"),
        (TrainingError("No epoch."), 1, "Error: No epoch.\n"),
        (UsageError("No such recipe."), 2, "Error: No such recipe.\n"),
        (click.UsageError("No such option."), 2, "Error: No such option.\n"),
        (click.exceptions.Exit(3), 3, ""),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
        (click.Abort(), 130, "Interrupted.\n"),
    ],
)
def test_a_failure_is_told_and_has_its_exit_code(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, told: str
) -> None:
    assert run_guarded(raising(error)) == code
    assert capsys.readouterr() == ("", told)


def test_every_problem_of_a_recipe_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    problems = [RecipeProblem("r.yaml:1:1", "a", "One."), RecipeProblem("--set b=2", "", "Two.")]
    assert run_guarded(raising(RecipeError(problems))) == 2
    assert capsys.readouterr() == ("", "r.yaml:1:1: a: One.\n--set b=2: Two.\n")


def test_a_warning_is_told_as_one() -> None:
    problem = RecipeProblem("r.yaml:1:1", "a", "Odd.", is_warning=True)
    assert str(problem) == "r.yaml:1:1: warning: a: Odd."


def test_an_unforeseen_failure_is_told_without_a_traceback(
    capsys: pytest.CaptureFixture[str], reports: Path
) -> None:
    assert run_guarded(raising(ZeroDivisionError("by zero\nand more"))) == 1
    (report,) = reports.iterdir()
    assert capsys.readouterr() == (
        "",
        "Error: ZeroDivisionError: by zero\n"
        "This was not foreseen, so it is a fault of pipeline. "
        f"The details are in {report}; please report them.\n",
    )


def test_the_details_of_an_unforeseen_failure_are_in_a_file(reports: Path) -> None:
    run_guarded(raising(ZeroDivisionError("by zero\nand more")))
    (report,) = reports.iterdir()
    text = report.read_text(encoding="utf-8")
    assert text.startswith(f"pipeline {pipeline.__version__}, Python ")
    assert "Traceback (most recent call last)" in text
    assert text.endswith("ZeroDivisionError: by zero\nand more\n")
