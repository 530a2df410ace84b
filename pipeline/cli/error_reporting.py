"""Reports errors of a command on standard error, and returns the exit code."""

from __future__ import annotations

import logging
import platform
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import Any

import click

import pipeline
from pipeline import shutdown
from pipeline.console import ConsoleHandler
from pipeline.errors import PipelineError, RecipeError, first_line

logger = logging.getLogger(__name__)


def run_guarded(command: Callable[[], Any], console: ConsoleHandler) -> int:
    """Call a command and return its exit code; an error is reported on the console.

    The traceback of an unexpected error goes to a file. `--verbose` shows the traceback of any
    error.
    """
    try:
        result = command()
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except PipelineError as error:
        logger.debug("Details of the error:", exc_info=error)
        console.write(str(error) if isinstance(error, RecipeError) else f"Error: {error}")
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        console.write("Interrupted.")
        return shutdown.EXIT_CODE
    except BrokenPipeError:
        sys.stdout = None  # its reader is gone: nothing is left to flush
        return 1
    except Exception as error:
        logger.debug("Details of the error:", exc_info=error)
        console.write(_report_bug(error, console))
        return 1
    return result if isinstance(result, int) else 0


def _report_bug(error: Exception, console: ConsoleHandler) -> str:
    """Write the details of an unexpected error to a file; return a message that names it."""
    details = (
        f"pipeline {pipeline.__version__}, Python {platform.python_version()}, "
        f"{platform.platform()}\narguments: {sys.argv[1:]}\n\n"
        f"{''.join(traceback.format_exception(error))}"
    )
    with tempfile.NamedTemporaryFile(
        "w", prefix="pipeline-error-", suffix=".log", delete=False, encoding="utf-8"
    ) as file:
        file.write(console.mask(details))
    return (
        f"Error: {type(error).__name__}: {first_line(error)}\n"
        f"This is a bug in pipeline. Please report it with the details in {file.name}."
    )
