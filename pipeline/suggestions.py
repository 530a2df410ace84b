"""Suggestions for misspelt names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(received: str, names: Iterable[str]) -> str:
    """Return ` Did you mean 'NAME'?`, or an empty string if no name is similar.

    Only the last component of a dotted name is compared: `dropuot` finds `regularization.dropout`.
    """
    by_ending: dict[str, str] = {}
    for name in names:
        by_ending.setdefault(name.rpartition(".")[2].lower(), name)
    nearest = difflib.get_close_matches(str(received).lower(), by_ending, n=1, cutoff=0.6)
    return f" Did you mean '{by_ending[nearest[0]]}'?" if nearest else ""
