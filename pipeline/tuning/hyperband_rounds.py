"""The rounds of hyperband's brackets: how many trials they have, and for how many epochs."""

from __future__ import annotations

import math

FACTOR = 3  # of the epochs, from a round to the next


def rounds_of(bracket: int, max_epochs: int) -> list[tuple[int, int]]:
    """Return the number of trials and their epochs for each round of a bracket.

    The sizes are those of `keras_tuner.oracles.HyperbandOracle`.

    Args:
        bracket: its number, from 0; the first one has the shortest trials.
        max_epochs: epochs of the last round.
    """
    max_rounds = 1
    while FACTOR**max_rounds <= max_epochs:
        max_rounds += 1
    rounds = max_rounds - bracket % max_rounds
    last_size = math.ceil(1 + math.log(max_epochs, FACTOR)) / rounds
    return [
        (math.ceil(last_size * fraction), math.ceil(max_epochs / fraction))
        for fraction in (FACTOR**left for left in reversed(range(rounds)))
    ]


def fewest_epochs(max_epochs: int) -> int:
    """Return the epochs of the shortest trials.

    Args:
        max_epochs: epochs of the last round.
    """
    return rounds_of(0, max_epochs)[0][1]
