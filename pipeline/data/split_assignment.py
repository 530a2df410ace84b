"""Draws the splits of files: stratified by class, by group, and stable when files are added."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.data.listing import SPLITS

_TRAIN = SPLITS.index("train")


def assign_splits(
    keys: Sequence[str],
    labels: np.ndarray,
    given: np.ndarray,
    groups: np.ndarray | None,
    *,
    fractions: Mapping[str, float],
    seed: int,
    stratum_names: Sequence[str],
) -> np.ndarray:
    """Draw the split of each file that has none.

    Within each class, files are ranked by a hash of the seed, the class and their key. The first
    are the test split, the last are the validation split; so an added file moves few others, and
    none between these two. Each share is kept to one image per class, the totals to one image.
    A class with as many files as there are splits is in all of them, even where its share is
    less than an image. Fewer files are in train first.

    Files of a group count as one: a share is then kept to one group per class. A group of several
    classes is ranked in the rarest of them. An open file whose group has a file with a given
    split follows it, if that split is one that is drawn.

    Args:
        keys: what is hashed, of each file.
        labels: int (n,), the class of each file, or another stratum by its labels.
        given: int8 (n,), index in `SPLITS`; -1 for a file whose split is drawn.
        groups: int (n,), files with the same number belong in the same split; None if there are
            no groups.
        fractions: the share of `val` and of `test` in the files that are drawn; train is the rest.
        seed: another seed draws other splits.
        stratum_names: of the classes, in the order of the labels.

    Returns:
        int8 (n,), index in `SPLITS`.
    """
    splits = given.astype(np.int8)
    held_out = [SPLITS.index(name) for name in ("test", "val") if fractions.get(name)]
    numbers = np.arange(len(labels)) if groups is None else groups
    if groups is not None:
        _follow_given(splits, numbers, (_TRAIN, *held_out))
    is_open = np.flatnonzero(splits < 0)
    if not held_out or not len(is_open):
        splits[is_open] = _TRAIN
        return splits
    names = [f"{seed}/{name}/" for name in stratum_names]
    pool = _rank(
        np.unique(numbers[is_open], return_inverse=True)[1],
        labels[is_open],
        np.array([_hash(names[labels[i]] + keys[i]) for i in is_open.tolist()], np.uint64),
        len(stratum_names),
    )
    counts = _apportion(
        pool,
        [fractions[SPLITS[split]] for split in held_out],
        [np.array([_hash(f"{name}{split}") / 2**64 for name in names]) for split in held_out],
    )
    drawn = _draw(pool, dict(zip(held_out, counts, strict=True)))
    if groups is not None:
        _cover_classes(pool, drawn, (_TRAIN, *held_out))
    splits[is_open] = drawn[pool.group_of_file]
    return splits


def merge_groups(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return groups, int64 (n,), that join whatever one of two groupings joins.

    Args:
        first: int (n,), files with the same number are in the same group.
        second: int (n,), likewise.
    """
    one, other = (np.unique(groups, return_inverse=True)[1] for groups in (first, second))
    nodes = 2 * len(one)  # the groups of each grouping, joined by the files that they share
    edges = coo_array((np.ones(len(one), bool), (one, other + len(one))), (nodes, nodes))
    return connected_components(edges, directed=False)[1][one].astype(np.int64)


@dataclass(frozen=True)
class _Pool:
    """The groups that are drawn; a file without a group is a group of its own.

    Attributes:
        group_of_file: int (files,), index of a group.
        order: int (groups,), the groups by stratum, ranked by their hash.
        starts: int (classes + 1,), where each stratum begins in `order`.
        weights: int (groups,), files of each group.
        members: int (pairs, 2), each group and a class that it has files of, sorted.
    """

    group_of_file: np.ndarray
    order: np.ndarray
    starts: np.ndarray
    weights: np.ndarray
    members: np.ndarray


def _rank(group_of_file: np.ndarray, labels: np.ndarray, hashes: np.ndarray, classes: int) -> _Pool:
    weights = np.bincount(group_of_file)
    lowest = np.full(len(weights), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(lowest, group_of_file, hashes)
    pairs = np.unique(group_of_file.astype(np.int64) * classes + labels)
    members = np.stack([pairs // classes, pairs % classes], axis=1)
    frequency = np.bincount(members[:, 1], minlength=classes)
    rarest = np.lexsort((members[:, 1], frequency[members[:, 1]], members[:, 0]))
    first = np.unique(members[rarest, 0], return_index=True)[1]
    stratum = members[rarest[first], 1]
    order = np.lexsort((lowest, stratum))
    starts = np.searchsorted(stratum[order], np.arange(classes + 1))
    return _Pool(group_of_file, order, starts, weights, members)


def _apportion(
    pool: _Pool, fractions: Sequence[float], preferences: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Return how many files of each class each held-out split should have.

    Each is its share rounded up or down, so that the rest is one too and the totals are right:
    as many are rounded up as that takes, those with the largest remainders, by `preferences`
    where they are equal. A class that has enough groups gets one file in each split.
    """
    groups = np.diff(pool.starts)
    files = np.add.reduceat(np.append(pool.weights[pool.order], 0), pool.starts[:-1])
    files[groups == 0] = 0
    splits = len(fractions) + 1
    shares = [np.round(fraction * files, 6) for fraction in fractions]
    rest = np.round((1 - sum(fractions)) * files, 6)
    is_enough = groups >= splits
    low = [np.where(is_enough, np.maximum(np.floor(share), 1), np.floor(share)) for share in shares]
    high = [np.maximum(np.ceil(share), least) for share, least in zip(shares, low, strict=True)]
    most = np.minimum(files - np.floor(rest), np.maximum(files - 1, 0))
    least = np.minimum(files - np.ceil(rest), most)
    most = np.maximum(most, np.where(is_enough, sum(low), 0))
    counts: list[np.ndarray] = []
    for index, (share, preference) in enumerate(zip(shares, preferences, strict=True)):
        taken = sum(counts)
        floor = np.maximum(low[index], least - taken - sum(high[index + 1 :]))
        ceiling = np.maximum(np.minimum(high[index], most - taken - sum(low[index + 1 :])), 0)
        floor = np.minimum(floor, ceiling)
        missing = int(np.round(share.sum()) - floor.sum())
        candidates = np.flatnonzero(ceiling > floor)
        score = (share - floor - preference)[candidates]
        rounded_up = candidates[np.argsort(-score, kind="stable")[: max(missing, 0)]]
        floor[rounded_up] = ceiling[rounded_up]
        counts.append(floor.astype(np.int64))
    return counts


def _draw(pool: _Pool, counts: Mapping[int, np.ndarray]) -> np.ndarray:
    """Return the split of each group, int8 (groups,)."""
    drawn = np.full(len(pool.weights), _TRAIN, np.int8)
    for stratum, (start, end) in enumerate(zip(pool.starts, pool.starts[1:], strict=False)):
        ranked = pool.order[start:end]
        is_enough = len(ranked) > len(counts)
        for index, (split, files) in enumerate(counts.items()):
            # Train, and each split that follows, need a group too.
            reserved = len(counts) - index if is_enough else 1
            free = ranked[drawn[ranked] == _TRAIN]
            chosen = _fill(
                free if index == 0 else free[::-1],
                pool.weights,
                target=int(files[stratum]),
                at_least=int(is_enough),
                at_most=len(free) - reserved,
            )
            drawn[chosen] = split
    return drawn


def _fill(
    ranked: np.ndarray, weights: np.ndarray, *, target: int, at_least: int, at_most: int
) -> np.ndarray:
    """Return the groups, in their order, that together have about `target` files."""
    sizes = weights[ranked]
    if len(sizes) and sizes.max() == 1:
        return ranked[: max(min(target, at_most), 0)]
    chosen: list[int] = []
    filled = 0
    for group, size in zip(ranked.tolist(), sizes.tolist(), strict=True):
        if len(chosen) < at_most and 2 * filled + size <= 2 * target:  # closer to it than without
            chosen.append(group)
            filled += size
    if len(chosen) < at_least:
        chosen = [int(ranked[np.argmin(sizes)])]
    return np.array(chosen, np.int64)


def _cover_classes(pool: _Pool, drawn: np.ndarray, splits: Sequence[int]) -> None:
    """Move groups of several classes so that each class is in every split, where that is easy.

    A group is moved only if its own split keeps all of its classes.
    """
    classes = len(pool.starts) - 1
    group, label = pool.members.T
    present = np.zeros((len(SPLITS), classes), np.int64)  # groups with files of a class
    np.add.at(present, (drawn[group], label), 1)
    for index in np.flatnonzero(np.bincount(label, minlength=classes) >= len(splits)):
        for split in splits:
            if present[split, index]:
                continue
            candidates = group[label == index]
            for candidate in candidates[np.argsort(pool.weights[candidates], kind="stable")]:
                own = label[slice(*np.searchsorted(group, [candidate, candidate + 1]))]
                if (present[drawn[candidate], own] > 1).all():
                    present[drawn[candidate], own] -= 1
                    present[split, own] += 1
                    drawn[candidate] = split
                    break


def _follow_given(splits: np.ndarray, groups: np.ndarray, drawn: Sequence[int]) -> None:
    """Give open files the split of their group's other files, if it is one that is drawn."""
    for split in drawn:
        followed = np.isin(groups, groups[splits == split])
        splits[followed & (splits < 0)] = split


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode(errors="surrogateescape")).digest()[:8])
