"""The statistics of a data set."""

from __future__ import annotations

import pytest

from pipeline.data.dataset_statistics import (
    Copies,
    DatasetStatistics,
    ImageSizes,
    Spread,
    summarize_sizes,
)


def test_sizes_are_summarized() -> None:
    assert summarize_sizes([100, 200, 200], [100, 50, 50]) == ImageSizes(
        width=Spread(100, 200, 200),
        height=Spread(50, 50, 100),
        aspect=Spread(1, 4, 4),
        shorter_side=Spread(50, 50, 100),
        longer_side=Spread(100, 200, 200),
        most_common=(200, 50),
        most_common_count=2,
        kept_by_crop=0.25,
    )


def test_one_extreme_shape_among_many_does_not_decide_what_a_crop_keeps() -> None:
    sizes = summarize_sizes([1000, *[40] * 30], [10, *[30] * 30])
    assert sizes
    assert sizes.kept_by_crop == 0.75


def test_no_image_has_no_size() -> None:
    assert summarize_sizes([], []) is None


def test_the_imbalance_is_that_of_the_training_images() -> None:
    counts = {"train": (80, 20), "val": (10, 20)}
    statistics = DatasetStatistics(("a", "b"), counts)
    assert statistics.class_counts == (90, 40)
    assert statistics.images == 130
    assert statistics.imbalance == 4


@pytest.mark.parametrize("counts", [{}, {"train": (3, 0)}], ids=["no image", "an empty class"])
def test_an_empty_class_has_no_imbalance(counts: dict[str, tuple[int, ...]]) -> None:
    assert DatasetStatistics(("a", "b"), counts).imbalance is None


def test_copies_in_two_splits_and_in_two_classes_are_told() -> None:
    leak = Copies("same file", ("a", "b"), ("train", "val"), ("ants", "ants"))
    conflict = Copies("same file", ("a", "b"), ("train", "train"), ("ants", "bees"))
    assert (leak.is_leak, leak.has_label_conflict) == (True, False)
    assert (conflict.is_leak, conflict.has_label_conflict) == (False, True)
