"""Draws of an epoch in which each class is drawn equally often."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.data.sampling import balanced_draws, draws_per_class, is_imbalanced

LABELS = np.repeat([0, 2, 3], [40, 7, 3])  # class 1 has no image
COUNTS = np.bincount(LABELS, minlength=4)


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_each_class_is_drawn_equally_often(epoch: int) -> None:
    _, indices = balanced_draws(LABELS, seed=1, epoch=epoch)
    counts = np.bincount(LABELS[indices], minlength=4)
    assert len(indices) == len(LABELS)
    assert counts[1] == 0
    assert np.ptp(counts[[0, 2, 3]]) <= 1


def test_the_remainder_of_an_epoch_is_shared_by_the_classes_in_turn() -> None:
    drawn = [balanced_draws(LABELS, seed=1, epoch=epoch)[1] for epoch in range(3)]
    assert np.bincount(LABELS[np.concatenate(drawn)]).tolist() == [50, 0, 50, 50]


def test_no_image_is_drawn_again_before_all_of_its_class_were() -> None:
    drawn = [balanced_draws(LABELS, seed=1, epoch=epoch) for epoch in range(6)]
    passes, indices = (np.concatenate(arrays) for arrays in zip(*drawn, strict=True))
    for label in (0, 2, 3):
        members = np.flatnonzero(np.equal(LABELS, label))
        counts = np.bincount(indices, minlength=len(LABELS))[members]
        assert np.ptp(counts) <= 1
        for index in members:
            assert sorted(passes[indices == index]) == list(range(counts[members == index].item()))


def test_the_draws_are_a_function_of_the_seed_and_the_epoch() -> None:
    first = balanced_draws(LABELS, seed=1, epoch=3)
    np.testing.assert_array_equal(first, balanced_draws(LABELS, seed=1, epoch=3))
    for other in (
        balanced_draws(LABELS, seed=2, epoch=3),
        balanced_draws(LABELS, seed=1, epoch=4),
    ):
        assert not np.array_equal(first, other)


def test_the_draws_per_class_are_those_of_an_epoch() -> None:
    assert draws_per_class(COUNTS, is_balanced=False).tolist() == [
        40,
        0,
        7,
        3,
    ]
    np.testing.assert_allclose(
        draws_per_class(COUNTS, is_balanced=True),
        [50 / 3, 0] + [50 / 3] * 2,
    )


def test_classes_are_imbalanced_from_about_ten_times_as_many_images_on() -> None:
    assert is_imbalanced(np.array([40, 0, 4]))
    assert is_imbalanced(np.array([159, 0, 16]))  # ten when rounded
    assert not is_imbalanced(np.array([37, 0, 4]))
    assert not is_imbalanced(np.array([5]))
