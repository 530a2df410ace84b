"""Views are found by what they show."""

from __future__ import annotations

import numpy as np

from pipeline.array_cache import CachedArrays
from pipeline.features.known_views import KnownViews, ViewTable, view_digest

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3)).astype(np.float32)


def entry(*indices: int) -> CachedArrays:
    digests = [np.frombuffer(view_digest(IMAGES[index]), np.uint8) for index in indices]
    arrays = {"digests": np.array(digests), "activations_0": np.array(indices)[:, np.newaxis]}
    return CachedArrays(arrays, {}, was_cached=True)


def test_activations_are_those_of_the_view_in_any_entry() -> None:
    known = KnownViews([entry(4, 1), entry(3)])
    positions = [known.find(view_digest(IMAGES[index])) for index in (3, 1, 4)]
    assert None not in positions
    (activations,) = known.activations(np.array(positions))
    assert activations[:, 0].tolist() == [3, 1, 4]
    assert known.find(view_digest(IMAGES[0])) is None


def test_nothing_is_known_without_entries() -> None:
    assert KnownViews([]).find(view_digest(IMAGES[0])) is None


def test_rows_to_compute_come_before_rows_to_copy() -> None:
    table = ViewTable(KnownViews([entry(1, 2)]), images=4, views=1)
    added = [table.add(IMAGES[shown], index, 0) for index, shown in enumerate((2, 0, 1, 5))]
    assert added == [False, True, False, True]
    assert table.rows()[:, 0].tolist() == [2, 0, 3, 1]
    assert [array[:, 0].tolist() for (array,) in table.copied_activations()] == [[2, 1]]
    shown = [view_digest(IMAGES[index]) for index in (0, 5, 2, 1)]
    assert [row.tobytes() for row in table.digests()] == shown


def test_equal_views_share_a_row_until_they_are_forgotten() -> None:
    table = ViewTable(KnownViews([]), images=2, views=2)
    assert table.add(IMAGES[0], 0, 0)
    assert not table.add(IMAGES[0], 0, 1)
    table.forget_views()
    assert table.add(IMAGES[0], 1, 0)
    assert table.rows().tolist() == [[0, 0], [1, 0]]
