from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

import pipeline
from pipeline.cli import error_reporting, main
from pipeline.console import ConsoleHandler
from pipeline.errors import DataError, RecipeError, RecipeProblem, TrainingError, UsageError


def run_guarded(command: Callable[[], Any]) -> int:
    return error_reporting.run_guarded(command, ConsoleHandler())


def raising(error: BaseException) -> Callable[[], Any]:
    def command() -> None:
        raise error

    return command


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that the details of unexpected errors are written to."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("result", "code"), [(None, 0), (2, 2), ("text", 0)])
def test_a_command_that_returns_has_that_exit_code(result: Any, code: int) -> None:
    assert run_guarded(lambda: result) == code


@pytest.mark.parametrize(
    ("error", "code", "message"),
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
def test_an_error_is_reported_and_has_its_exit_code(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, message: str
) -> None:
    assert run_guarded(raising(error)) == code
    assert capsys.readouterr() == ("", message)


def test_every_problem_of_a_recipe_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    problems = [RecipeProblem("r.yaml:1:1", "a", "One."), RecipeProblem("--set b=2", "", "Two.")]
    assert run_guarded(raising(RecipeError(problems))) == 2
    assert capsys.readouterr() == ("", "r.yaml:1:1: a: One.\n--set b=2: Two.\n")


def test_a_warning_says_that_it_is_one() -> None:
    problem = RecipeProblem("r.yaml:1:1", "a", "Odd.", is_warning=True)
    assert str(problem) == "r.yaml:1:1: warning: a: Odd."


def test_an_unexpected_error_is_reported_without_a_traceback(
    capsys: pytest.CaptureFixture[str], reports: Path
) -> None:
    assert run_guarded(raising(ZeroDivisionError("by zero\nand more"))) == 1
    (report,) = reports.iterdir()
    assert capsys.readouterr() == (
        "",
        "Error: ZeroDivisionError: by zero\n"
        f"This is a bug in pipeline. Please report it with the details in {report}.\n",
    )


def test_the_details_of_an_unexpected_error_are_in_a_file(reports: Path) -> None:
    run_guarded(raising(ZeroDivisionError("by zero\nand more")))
    (report,) = reports.iterdir()
    text = report.read_text(encoding="utf-8")
    assert text.startswith(f"pipeline {pipeline.__version__}, Python ")
    assert "Traceback (most recent call last)" in text
    assert text.endswith("ZeroDivisionError: by zero\nand more\n")


def test_a_secret_is_in_neither_the_message_nor_the_details(
    capsys: pytest.CaptureFixture[str], reports: Path
) -> None:
    console = ConsoleHandler()
    console.secrets["hunter2"] = "${ZOO_TOKEN}"
    command = raising(ZeroDivisionError("by hunter2 at https://me:swordfish@host"))
    assert error_reporting.run_guarded(command, console) == 1
    (report,) = reports.iterdir()
    message = capsys.readouterr().err
    assert message.startswith("Error: ZeroDivisionError: by ${ZOO_TOKEN} at https://me:***@host\n")
    text = report.read_text(encoding="utf-8")
    assert text.endswith("ZeroDivisionError: by ${ZOO_TOKEN} at https://me:***@host\n")
    for secret in ("hunter2", "swordfish"):
        assert secret not in message + text


def test_verbose_shows_the_traceback_of_any_error(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--verbose", "show", "absent.yaml"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("Traceback:\nTraceback (most recent call last):\n")
    assert message.splitlines()[-1].startswith("Error: absent.yaml: the file does not exist.")
