"""Work in this process, one piece after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pipeline.cluster.cluster import Lost, Piece, Result, Wait


class LocalCluster:
    """The cluster of one process, this one: `Cluster` says what its methods do."""

    at_once = 1

    def results(
        self,
        make_worker: Callable[[], Callable[[Piece], Result]],
        pieces: Iterator[Piece | Wait],
        *,
        retries: int = 0,
    ) -> Iterator[tuple[Piece, Result | Lost]]:
        work = None
        for piece in pieces:
            assert piece != "wait"  # no other piece is in progress
            work = work or make_worker()
            yield piece, work(piece)
