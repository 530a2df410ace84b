"""What a person is told when a command does not end well, and the exit code for it."""

from __future__ import annotations

import platform
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

import pipeline
from pipeline import shutdown
from pipeline.errors import PipelineError, RecipeError, first_line
from pipeline.secrets import mask_credentials

INTERRUPTED = shutdown.EXIT_CODE


def run_guarded(command: Callable[[], Any]) -> int:
    """Call a command and return its exit code; a failure is told on standard error.

    A failure that nobody foresaw is told in one line too; its traceback goes to a file.
    """
    try:
        result = command()
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except RecipeError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        return error.exit_code
    except PipelineError as error:
        click.echo(f"Error: {error}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stdout = None  # nobody reads it: nothing is left to flush
        return 1
    except Exception as error:
        click.echo(_unforeseen(error), err=True)
        return 1
    return result if isinstance(result, int) else 0


def _unforeseen(error: Exception) -> str:
    first = mask_credentials(first_line(error))
    with tempfile.NamedTemporaryFile(
        "w", prefix="pipeline-error-", suffix=".log", delete=False, encoding="utf-8"
    ) as file:
        file.write(f"pipeline {pipeline.__version__}, Python {platform.python_version()}, ")
        file.write(f"{platform.platform()}\narguments: ")
        file.write(mask_credentials(f"{sys.argv[1:]}\n\n"))
        file.write(mask_credentials("".join(traceback.format_exception(error))))
    return (
        f"Error: {type(error).__name__}: {first}\nThis was not foreseen, so it is a fault of "
        f"pipeline. The details are in {Path(file.name)}; please report them."
    )
