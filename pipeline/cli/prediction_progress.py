"""How far predictions have come, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.inference.prediction import Prediction


def show_progress(
    predictions: Iterator[Prediction[Path]], total: int
) -> Iterator[Prediction[Path]]:
    """Pass predictions on, and show on standard error how many of `total` there are."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        yield from progress.track(predictions, total=total, description="predicting")
