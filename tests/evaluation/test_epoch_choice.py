"""Epochs that are as good as the chosen one."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.epoch_choice import near_best_epochs

# 100 images whose losses have a standard deviation of 0.4: an error of 0.04, paired 0.01.
LOSSES = 0.2 + 0.4 * np.sqrt(0.99) * np.tile([-1.0, 1.0], 50)


@pytest.mark.parametrize(
    ("values", "near"), [((0.3, 0.209, 0.2, 0.205), 2), ((0.3, 0.22, 0.2, 0.22), 0)]
)
def test_epochs_within_one_paired_standard_error_count(
    values: tuple[float, ...], near: int
) -> None:
    assert near_best_epochs(values, 3, LOSSES) == near


def test_more_images_tell_more_epochs_apart() -> None:
    assert near_best_epochs([0.3, 0.209, 0.2, 0.205], 3, np.tile(LOSSES, 100)) == 0


def test_one_image_tells_nothing() -> None:
    assert near_best_epochs([0.3, 0.2], 2, np.array([0.2])) == 0
