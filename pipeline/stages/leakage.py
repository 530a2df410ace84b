"""What images that were trained on do to the accuracy of the split that they are in too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from pipeline.data.splits import Splits


def effect_of_leakage(
    splits: Splits, name: str, is_right: np.ndarray, *, say: Callable[[str], None]
) -> dict[str, float]:
    """Return the accuracy without the images that an earlier split has too, and say it.

    Args:
        splits: the data, with its duplicates.
        name: the split, `val` or `test`.
        is_right: bool (n,), whether each of its images was classified rightly.
        say: tells a person what came of it.

    Returns:
        `{name}_duplicates`, how many such images there are, and, unless that is all of them,
        `{name}_accuracy_without_duplicates`; nothing where there are none.
    """
    import numpy as np

    seen = splits.seen_before(name)
    if not seen:
        return {}
    found = {f"{name}_duplicates": float(len(seen))}
    rest = np.delete(is_right, seen)
    effect = f"{len(seen)} of the {len(is_right):,} {name} images are in another split too"
    if len(rest):
        accuracy = float(rest.mean())
        found[f"{name}_accuracy_without_duplicates"] = accuracy
        effect += f": {name}_accuracy is {is_right.mean():.4f}, without them {accuracy:.4f}"
    say(f"WARNING: {effect}.")
    return found
