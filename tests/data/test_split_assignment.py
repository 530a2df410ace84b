"""Splits that are drawn: shares, classes, groups and what moves when files are added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from pipeline.data.split_assignment import assign_splits, merge_groups

TRAIN, VAL, TEST = 0, 1, 2
BOTH = {"val": 0.2, "test": 0.1}


def drawn(
    labels: Sequence[int] | np.ndarray,
    fractions: Mapping[str, float],
    *,
    keys: Sequence[str] | None = None,
    given: Sequence[int] | None = None,
    groups: Sequence[int] | np.ndarray | None = None,
    seed: int = 0,
) -> np.ndarray:
    labels = np.asarray(labels, np.int32)
    return assign_splits(
        keys or [f"{index}.jpg" for index in range(len(labels))],
        labels,
        np.full(len(labels), -1, np.int8) if given is None else np.array(given, np.int8),
        None if groups is None else np.asarray(groups, np.int64),
        fractions=fractions,
        seed=seed,
        stratum_names=[f"class {label}" for label in range(labels.max() + 1)],
    )


def counts_of(labels: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Return how many files of each class each split has, int (3, classes)."""
    classes = int(labels.max()) + 1
    return np.array([np.bincount(labels[splits == i], minlength=classes) for i in range(3)])


# Shares


@pytest.mark.parametrize(
    ("classes", "images"), [(100, 20), (102, 40), pytest.param(1000, 30, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("fractions", [{"val": 0.2}, {"val": 0.13, "test": 0.27}])
def test_every_class_has_the_shares_to_one_image_with_any_seed(
    classes: int, images: int, fractions: dict[str, float]
) -> None:
    labels = np.repeat(np.arange(classes), images)
    keys = [f"{index}.jpg" for index in range(images)] * classes
    shares = np.array([1 - sum(fractions.values()), fractions["val"], fractions.get("test", 0)])
    for seed in range(50):
        counts = counts_of(labels, drawn(labels, fractions, keys=keys, seed=seed))
        assert np.abs(counts - shares[:, None] * images).max() < 1
        np.testing.assert_allclose(counts.sum(axis=1), shares * len(labels), atol=0.5001)
        assert (counts.min(axis=1) > 0).tolist() == (shares > 0).tolist()


@pytest.mark.parametrize("fractions", [{"val": 0.2}, BOTH])
def test_the_totals_are_right_where_classes_have_unequal_counts(
    fractions: dict[str, float],
) -> None:
    sizes = np.random.default_rng(0).integers(11, 60, 300)
    labels = np.repeat(np.arange(300), sizes)
    totals = np.bincount(drawn(labels, fractions), minlength=3) / len(labels)
    shares = [1 - sum(fractions.values()), fractions["val"], fractions.get("test", 0)]
    np.testing.assert_allclose(totals, shares, atol=0.51 / len(labels))


@pytest.mark.parametrize(
    ("images", "expected"),
    [(1, [1, 0, 0]), (2, [0.6, 0.2, 0.2]), (3, [1 / 3, 1 / 3, 1 / 3]), (7, [0.6, 0.2, 0.2])],
)
def test_a_class_with_enough_images_is_in_every_split_and_any_other_is_in_train(
    images: int, expected: list[float]
) -> None:
    labels = np.repeat(np.arange(1000), images)
    splits = drawn(labels, {"val": 0.2, "test": 0.2})
    np.testing.assert_allclose(np.bincount(splits, minlength=3) / len(labels), expected)
    assert counts_of(labels, splits)[TRAIN].min() > 0


def test_without_fractions_everything_is_train() -> None:
    assert drawn([0, 0, 1, 1], {"val": 0.0}).tolist() == [TRAIN] * 4


def test_given_splits_stay_and_the_others_are_shared() -> None:
    labels = np.repeat([0, 1], 30)
    given = np.tile([TEST, -1, -1], 20)
    splits = drawn(labels, {"val": 0.25}, given=given.tolist())
    assert (splits[given == TEST] == TEST).all()
    assert counts_of(labels, splits).tolist() == [[15, 15], [5, 5], [10, 10]]


# What decides


def test_the_key_decides_and_not_the_order_of_the_files() -> None:
    labels = np.repeat([0, 1], 40)
    keys = [f"patient{index:02}/scan.png" for index in range(40)] * 2
    splits = drawn(labels, BOTH, keys=keys)
    order = np.random.default_rng(1).permutation(80)
    shuffled = drawn(labels[order], BOTH, keys=[keys[index] for index in order])
    np.testing.assert_array_equal(shuffled, splits[order])
    assert (splits[:40] != splits[40:]).any()  # each class is drawn for itself


def test_another_seed_draws_other_files() -> None:
    labels = np.zeros(50, int)
    assert (drawn(labels, BOTH, seed=0) != drawn(labels, BOTH, seed=1)).any()


@pytest.mark.parametrize(("fractions", "most"), [({"val": 0.2}, 2), (BOTH, 6)])
def test_an_added_file_moves_few_others(fractions: dict[str, float], most: int) -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(100), random.integers(3, 60, 100))
    before = drawn(labels, fractions)
    moved = []
    for label in random.integers(0, 100, 60):
        after = drawn(np.append(labels, label), fractions)[:-1]
        moved.append(np.count_nonzero(after != before))
        changes = set(zip(before.tolist(), after.tolist(), strict=True))
        assert not changes & {(VAL, TEST), (TEST, VAL)}
    assert max(moved) <= most
    assert np.mean(moved) < 1.5


# Groups


def test_a_group_is_in_one_split_and_the_shares_are_kept_to_one_group_a_class() -> None:
    sizes = np.random.default_rng(0).integers(1, 8, 120)
    groups = np.repeat(np.arange(120), sizes)
    labels = groups % 3
    splits = drawn(labels, BOTH, groups=groups)
    assert all(len(set(splits[groups == group].tolist())) == 1 for group in range(120))
    files = np.bincount(labels)
    assert np.abs(counts_of(labels, splits)[VAL] - 0.2 * files).max() < sizes.max()
    assert np.abs(counts_of(labels, splits)[TEST] - 0.1 * files).max() < sizes.max()


def test_one_large_group_does_not_become_the_validation_split() -> None:
    groups = [0] * 80 + list(range(1, 21))
    for seed in range(20):
        splits = drawn([0] * 100, {"val": 0.1}, groups=groups, seed=seed)
        assert splits[0] == TRAIN
        assert np.count_nonzero(splits == VAL) == 10


def test_files_of_a_group_with_one_key_stay_together_when_one_is_added() -> None:
    groups = np.repeat(np.arange(40), 3)
    keys = [f"patient {group}" for group in groups]
    before = drawn(groups % 2, {"val": 0.25}, groups=groups, keys=keys)
    added = drawn([*(groups % 2), 0], {"val": 0.25}, groups=[*groups, 0], keys=[*keys, "patient 0"])
    assert added[-1] == added[0]
    assert np.count_nonzero(added[:-1] != before) <= 6  # two groups


def test_a_rare_class_of_mixed_groups_is_in_every_split() -> None:
    """Each patient has healthy images, three have sick ones too."""
    groups = np.repeat(np.arange(30), 4)
    labels = np.zeros(120, int)
    labels[[1, 5, 9]] = 1
    for seed in range(20):
        splits = drawn(labels, BOTH, groups=groups, seed=seed)
        assert counts_of(labels, splits).min() > 0


def test_a_class_that_shares_its_groups_with_rarer_ones_is_in_every_split() -> None:
    """Class 2 is in a group of class 0, in one of class 1, and in two of its own."""
    groups = np.array([0, 0, 1, 2, 3, 3, 4, 5, 6, 7])
    labels = np.array([0, 2, 0, 0, 1, 2, 1, 1, 2, 2])
    for seed in range(20):
        splits = drawn(labels, {"val": 0.3, "test": 0.3}, groups=groups, seed=seed)
        assert counts_of(labels, splits).min() > 0


def test_open_files_follow_their_group_into_a_drawn_split_only() -> None:
    given = [VAL, -1, TEST, -1, -1, -1, -1, -1]
    groups = [0, 0, 1, 1, 2, 3, 4, 5]
    splits = drawn([0] * 8, {"val": 0.2}, given=given, groups=groups)
    assert splits[1] == VAL
    assert splits[3] != TEST


def test_merged_groups_join_what_either_joins() -> None:
    merged = merge_groups(np.array([5, 5, 7, 8, 9]), np.array([0, 1, 1, 2, 3]))
    assert (merged[0] == merged[1] == merged[2], len(set(merged.tolist()))) == (True, 3)
    assert merged.dtype == np.int64
