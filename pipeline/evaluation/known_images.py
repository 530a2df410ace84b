"""Which evaluated images a model was trained or chosen on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import escape_unprintable

_MAX_EXAMPLES = 3


@dataclass(frozen=True)
class KnownImages:
    """The evaluated images that a model was trained or chosen on.

    Attributes:
        evaluated: the number of evaluated images.
        trained: the names of those that it was trained on.
        chosen: the names of those that its epoch was chosen on.
        unit: what they are: `images` or `rows`.
    """

    evaluated: int
    trained: Sequence[str]
    chosen: Sequence[str]
    unit: str = "images"

    def __str__(self) -> str:
        """Return a sentence that says how many they are, and examples."""
        parts = [
            f"{verb} {len(names):,} of {self.evaluated:,} {self.unit} "
            f"({len(names) / self.evaluated:.1%}), such as "
            f"{', '.join(map(escape_unprintable, names[:_MAX_EXAMPLES]))}"
            for verb, names in (("trained on", self.trained), ("chosen on", self.chosen))
            if names
        ]
        if not parts:
            return (
                "The model is not known to have been trained or chosen on any of these "
                f"{self.unit}."
            )
        return (
            f"The model was {', and '.join(parts)}. The metrics of {self.unit} that a model knows "
            "are too high: evaluate it on others."
        )
