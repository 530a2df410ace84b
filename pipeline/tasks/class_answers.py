"""What `predict` answers for an image of classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.tasks.table_column import CellValue, TableColumn

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


def top_columns(class_names: Sequence[str], top: int) -> list[TableColumn]:
    """Return the columns of the most probable classes."""
    columns: list[TableColumn] = []
    for number in range(1, min(top, len(class_names)) + 1):
        columns.append(TableColumn(f"class_{number}", "string"))
        columns.append(TableColumn(f"probability_{number}", "double", ".6f"))
    return columns


def top_cells(probabilities: np.ndarray, class_names: Sequence[str], top: int) -> list[CellValue]:
    """Return the cells of `top_columns`."""
    ranked = ranked_classes(probabilities, class_names, top=top)
    return [cell for class_and_probability in ranked for cell in class_and_probability]
