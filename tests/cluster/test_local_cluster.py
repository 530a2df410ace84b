"""Work in this process."""

from __future__ import annotations

import os

from pipeline.cluster.opening import open_cluster
from tests.cluster.workers import make_counter


def test_pieces_are_done_one_after_another_by_one_worker_of_this_process() -> None:
    with open_cluster("local") as cluster:
        results = list(cluster.results(make_counter, iter([3, 5])))

    assert results == [(3, (9, 1, os.getpid())), (5, (25, 2, os.getpid()))]


def test_a_piece_is_asked_for_after_the_results_so_far_were_taken() -> None:
    taken: list[int] = []

    def pieces() -> object:
        for piece in range(3):
            assert len(taken) == piece
            yield piece

    with open_cluster("local") as cluster:
        for piece, _ in cluster.results(make_counter, pieces()):  # type: ignore[arg-type]
            taken.append(piece)

    assert taken == [0, 1, 2]


def test_no_worker_is_made_for_no_pieces() -> None:
    def make() -> object:
        raise AssertionError

    with open_cluster("local") as cluster:
        assert list(cluster.results(make, iter([]))) == []  # type: ignore[arg-type]
