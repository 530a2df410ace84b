"""The command line: one module per command, and the group of them."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from collections.abc import Sequence

import click

import pipeline
from pipeline.cli import (
    cache,
    check,
    compare,
    copy,
    error_reporting,
    evaluate,
    export,
    init,
    inspect,
    predict,
    run,
    schema,
    serve,
    show,
    sync,
    tune,
    ui,
    validate,
)
from pipeline.cli import list as list_
from pipeline.console import ConsoleHandler, console_logging, set_level

COMMANDS: tuple[click.Command, ...] = (
    inspect.command,
    init.command,
    check.command,
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
    sync.command,
)


@click.group(commands={command.name or "": command for command in COMMANDS})
@click.version_option(pipeline.__version__, prog_name="pipeline")
@click.option("-v", "--verbose", is_flag=True, help="Show debug messages and tracebacks.")
@click.option("-q", "--quiet", is_flag=True, help="Show warnings and errors only.")
@click.pass_obj
def cli(console: ConsoleHandler, verbose: bool, quiet: bool) -> None:
    """Train and track an image classifier from one YAML recipe.

    Results go to standard output, messages to standard error. Exit codes: 0 success, 1 the run
    failed, 2 the recipe or the command line is wrong, 130 interrupted.
    """
    if verbose and quiet:
        raise click.UsageError("--verbose and --quiet exclude each other.")
    if verbose or quiet:
        set_level(console, logging.DEBUG if verbose else logging.WARNING)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Args:
        argv: the arguments after `pipeline`. Default: those of the process.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # for file names that are not UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    with console_logging() as console:
        return error_reporting.run_guarded(
            lambda: cli.main(argv, "pipeline", standalone_mode=False, obj=console), console
        )


def entry_point() -> None:
    """Run the process's command line, and exit at once: shutting TensorFlow down takes seconds."""
    code = main()
    for stream in (sys.stdout, sys.stderr):
        if stream:
            with contextlib.suppress(OSError):
                stream.flush()
    os._exit(code)
