"""Progress bars on standard error, and the durations that are shown with progress."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, track

from pipeline.console import shows_progress

Item = TypeVar("Item")


def start_progress_bar(description: str) -> Progress | None:
    """Start a progress bar whose tasks have a field `note`.

    Args:
        description: the format of the text before the bar, such as `{task.description}`.

    Returns:
        The bar; None with `--quiet`, or if standard error is not a terminal.
    """
    console = Console(stderr=True)
    if not (console.is_terminal and shows_progress()):
        return None
    bar = Progress(
        TextColumn(description),
        BarColumn(24),
        TextColumn("{task.fields[note]}"),
        console=console,
        transient=True,
    )
    bar.start()
    return bar


def show_progress(items: Iterable[Item], total: int | None, description: str) -> Iterable[Item]:
    """Yield the items, with a progress bar if standard error is a terminal.

    Args:
        items: to be yielded.
        total: how many there are; None if that is not known.
        description: shown before the bar.
    """
    console = Console(stderr=True)
    is_hidden = not console.is_terminal
    return track(items, description, total, console=console, transient=True, disable=is_hidden)


def format_duration(seconds: float) -> str:
    """Return a duration as `minutes:seconds`, or `hours:minutes:seconds` from an hour on."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
