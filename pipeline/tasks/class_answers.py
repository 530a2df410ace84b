"""What `predict` answers for an image of classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def ranked_classes(
    probabilities: np.ndarray, class_names: Sequence[str], *, top: int | None = None
) -> Iterator[tuple[str, float]]:
    """Yield the most probable classes and their probabilities, in descending order.

    Args:
        probabilities: float (classes,).
        class_names: in their order.
        top: how many; None for all.
    """
    for label in (-probabilities).argsort(kind="stable")[:top].tolist():
        yield class_names[label], float(probabilities[label])


def class_answer(probabilities: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
    """Return the most probable class, its probability, and those of all classes.

    Args:
        probabilities: float (classes,).
        class_names: in their order.
    """
    best, probability = next(ranked_classes(probabilities, class_names, top=1))
    by_class = dict(zip(class_names, probabilities.tolist(), strict=True))
    return {"class": best, "probability": probability, "probabilities": by_class}


def top_columns(class_names: Sequence[str], top: int) -> list[str]:
    """Return the names of the columns of the most probable classes."""
    numbers = range(1, min(top, len(class_names)) + 1)
    return [f"{kind}_{n}" for n in numbers for kind in ("class", "probability")]


def top_cells(probabilities: np.ndarray, class_names: Sequence[str], top: int) -> list[str]:
    """Return the cells of `top_columns`."""
    ranked = ranked_classes(probabilities, class_names, top=top)
    return [cell for name, value in ranked for cell in (name, f"{value:.6f}")]
