from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline
from pipeline.cli import COMMANDS, main
from pipeline.recipe.shipped import shipped_recipes

HEAVY = ("keras", "matplotlib", "mlflow", "numpy", "sklearn", "tensorflow")


def heavy_modules_after(*arguments: str) -> str:
    code = (
        "import sys\n"
        "from pipeline.cli import main\n"
        f"code = main({list(arguments)!r})\n"
        f"print(code, sorted(set(sys.modules) & set({HEAVY!r})), file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return ended.stderr.splitlines()[-1]


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    output = capsys.readouterr().out
    assert [f"  {command.name} " in output for command in COMMANDS] == [True] * len(COMMANDS)


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_every_command_has_help_from_a_sentence_to_an_example(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([command, "--help"]) == 0
    usage, empty, first, *_, example = capsys.readouterr().out.splitlines()
    assert usage.startswith(f"Usage: pipeline {command} ")
    assert empty == ""
    assert first.endswith(".")
    assert f"pipeline {command}" in example


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"pipeline, version {pipeline.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nonsense"], "Error: No such command 'nonsense'."),
        (["show"], "Error: Missing argument 'RECIPE'."),
        (["validate"], "Error: Missing argument 'RECIPE…'."),
        (["copy"], "Error: Missing argument 'NAME'."),
        (
            ["show", "a.yaml"],
            "Error: a.yaml: the file does not exist. `pipeline list` lists the recipes that come "
            "with the package, and `pipeline copy NAME` copies one.",
        ),
    ],
)
def test_a_wrong_command_line_ends_with_2(
    in_empty_folder: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    problem: str,
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1] == problem


def test_no_command_at_all_shows_the_help_and_ends_with_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 2
    assert "Commands:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["list"],
        ["schema"],
        ["show", str(shipped_recipes()["ants_bees"])],
        ["validate", *map(str, shipped_recipes().values())],
    ],
    ids=["help", "list", "schema", "show", "validate"],
)
def test_what_trains_nothing_imports_nothing_heavy(arguments: list[str]) -> None:
    assert heavy_modules_after(*arguments) == "0 []"


def test_the_package_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "pipeline", "--version"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout == f"pipeline, version {pipeline.__version__}\n"


def test_a_reader_that_leaves_early_causes_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "pipeline", "schema"]
    try:
        ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, b"")
