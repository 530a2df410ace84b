"""How many epochs are as good as the one that was chosen, as far as its images can tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# The losses of an image in two epochs of a training are alike. In three trainings on photographs
# and digits, the standard deviation of their difference was 0.06 to 0.5 times that of the losses in
# the epochs around the best one, about a quarter in the middle.
_PAIRED = 0.25


def near_best_epochs(values: Sequence[float], best_epoch: int, losses: np.ndarray) -> int:
    """Return how many other epochs have a loss within one standard error of the best one's.

    Which of them is the best is chance: as Breiman et al. (1984) do for trees, one standard error
    is taken as noise. The error is that of the difference between two epochs on the same images.
    The predictions of the other epochs are not kept, so that it is estimated: as a quarter of the
    standard error of the loss.

    Args:
        values: the mean loss of each epoch on the validation images.
        best_epoch: the chosen one, counted from 1.
        losses: float (n,), the loss of each validation image in the chosen epoch.
    """
    if len(losses) < 2:
        return 0
    error = _PAIRED * float(np.std(losses, ddof=1)) / len(losses) ** 0.5
    limit = values[best_epoch - 1] + error
    return sum(value <= limit for value in values) - 1
