"""A progress bar for predictions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.inference.batch_prediction import Prediction


def show_progress(
    predictions: Iterator[Prediction[Path]], total: int
) -> Iterator[Prediction[Path]]:
    """Yield the predictions, with a progress bar on standard error if it is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        yield from progress.track(predictions, total=total, description="predicting")
