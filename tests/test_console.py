"""Messages on the console: levels, secrets and progress bars."""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from pipeline.cli import main
from pipeline.console import console_logging, hide_secrets, shows_progress

logger = logging.getLogger("pipeline.tests")


def log_each_level() -> None:
    logger.debug("a detail")
    logger.info("a message")
    logger.warning("a warning")


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        (logging.DEBUG, "a detail\na message\nWARNING: a warning\n"),
        (logging.INFO, "a message\nWARNING: a warning\n"),
        (logging.WARNING, "WARNING: a warning\n"),
    ],
    ids=["verbose", "normal", "quiet"],
)
def test_messages_are_shown_from_a_level_on(
    capsys: pytest.CaptureFixture[str], level: int, shown: str
) -> None:
    with console_logging(level):
        log_each_level()
    log_each_level()  # of no console any more
    assert capsys.readouterr() == ("", shown)


def test_known_secrets_are_masked(capsys: pytest.CaptureFixture[str]) -> None:
    with console_logging():
        logger.info("of hunter2")
        hide_secrets({"hunter2": "${TOKEN}"})
        logger.info("of hunter2 at https://me:swordfish@host")
    assert capsys.readouterr().err == "of hunter2\nof ${TOKEN} at https://me:***@host\n"


def test_messages_stay_above_a_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    bar = Progress(console=Console(file=screen, force_terminal=True), transient=True)
    with console_logging(), bar:
        bar.add_task("training", total=10)
        bar.refresh()
        logger.info("Epoch [bold]1[/bold]/3")
    written = screen.getvalue()
    assert "\x1b[2KEpoch [bold]1[/bold]/3\n" in written  # on the line that the bar was on


def test_a_quiet_console_draws_no_progress_bar() -> None:
    with console_logging():
        assert shows_progress()
    with console_logging(logging.WARNING):
        assert not shows_progress()
    assert shows_progress()


@pytest.mark.parametrize(
    ("options", "shown"), [([], True), (["-v"], True), (["-q"], False)], ids=["", "v", "q"]
)
def test_the_options_of_the_command_line_set_the_level(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], shown: bool
) -> None:
    before = list(logging.getLogger("pipeline").handlers), logging.getLogger("pipeline").level
    for name in ("train/ants", "train/bees", "val/ants", "val/bees"):
        Path("photographs", name).mkdir(parents=True)
        Image.new("L", (4, 4)).save(f"photographs/{name}/1.png")
    Path("recipe.yaml").write_text(
        "data: {source: image_folder, path: photographs}\nmodel: {architecture: mlp}\n"
    )
    assert main([*options, "validate", "recipe.yaml"]) == 0
    assert ("ants" in capsys.readouterr().err) is shown
    after = list(logging.getLogger("pipeline").handlers), logging.getLogger("pipeline").level
    assert after == before


def test_the_log_of_a_run_has_what_a_quiet_console_does_not_show(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("recipe.yaml").write_text(
        "data: {source: digits}\nmodel: {architecture: mlp, hidden: [4]}\ntraining: {epochs: 1}\n"
    )
    assert main(["-q", "run", "recipe.yaml"]) == 0
    assert "Built mlp" not in capsys.readouterr().err
    (log,) = Path("mlruns").rglob("run.log")
    assert "INFO Built mlp" in log.read_text()


def test_verbose_and_quiet_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-v", "-q", "list"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == "Error: --verbose and --quiet exclude each other."
