"""The command line: one file a command, and the table of them here."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence

import click

import pipeline
from pipeline.cli import (
    cache,
    compare,
    copy,
    deliver,
    error_reporting,
    evaluate,
    export,
    predict,
    run,
    schema,
    serve,
    show,
    tune,
    ui,
    validate,
)
from pipeline.cli import list as list_
from pipeline.console import console_logging

COMMANDS: tuple[click.Command, ...] = (
    run.command,
    tune.command,
    validate.command,
    predict.command,
    compare.command,
    evaluate.command,
    export.command,
    serve.command,
    show.command,
    list_.command,
    copy.command,
    schema.command,
    ui.command,
    cache.command,
    deliver.command,
)


@click.group(commands={command.name or "": command for command in COMMANDS})
@click.version_option(pipeline.__version__, prog_name="pipeline")
def cli() -> None:
    """One YAML recipe becomes a trained, tracked image classifier.

    Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 the run
    failed, 2 the recipe or the command line is wrong, 130 interrupted.
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Args:
        argv: the arguments after `pipeline`; the process's own unless given.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # file names need not be UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    with console_logging():
        return error_reporting.run_guarded(
            lambda: cli.main(argv, "pipeline", standalone_mode=False)
        )


def entry_point() -> None:
    """Run the process's command line, and leave at once: to take TensorFlow down takes seconds."""
    code = main()
    for stream in (sys.stdout, sys.stderr):
        if stream:
            with contextlib.suppress(OSError):
                stream.flush()
    os._exit(code)
