"""Find views whose activations earlier cache entries hold, by what the views show."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.array_cache import CachedArrays
from pipeline.mapped_rows import read_rows

_DIGEST_BYTES = 16
_CHUNK = 256  # views that are copied at a time


def view_digest(pixels: np.ndarray) -> bytes:
    """Return a digest of the pixels of a view."""
    return hashlib.sha256(pixels.tobytes()).digest()[:_DIGEST_BYTES]


class KnownViews:
    """Activations that were computed already, by the digests of their views."""

    def __init__(self, entries: Sequence[CachedArrays]) -> None:
        """Index the views.

        Args:
            entries: of features by the same graph and engine.
        """
        self._entries = entries
        self._starts = np.cumsum([0, *(len(entry.arrays["digests"]) for entry in entries)])
        digests = [np.asarray(entry.arrays["digests"]) for entry in entries]
        self._digests = np.concatenate([np.zeros((0, _DIGEST_BYTES), np.uint8), *digests])
        prefixes = self._digests[:, :8].copy().view(np.uint64)[:, 0]
        self._order = np.argsort(prefixes)
        self._prefixes = prefixes[self._order]

    def find(self, digest: bytes) -> int | None:
        """Return the position of a view among all that are known, None if it is not."""
        prefix = np.frombuffer(digest[:8], np.uint64)[0]
        at = int(np.searchsorted(self._prefixes, prefix))
        if at == len(self._prefixes) or self._prefixes[at] != prefix:
            return None
        position = int(self._order[at])
        return position if self._digests[position].tobytes() == digest else None

    def activations(self, positions: np.ndarray) -> list[np.ndarray]:
        """Return the activations of known views, an array (n, …) for each output of the graph.

        Args:
            positions: int (n,), from `find`.
        """
        owners = np.searchsorted(self._starts, positions, side="right") - 1
        result: list[np.ndarray] = []
        count = sum(name.startswith("activations_") for name in self._entries[0].arrays)
        for output in range(count):
            arrays = [entry.arrays[f"activations_{output}"] for entry in self._entries]
            copied = np.empty((len(positions), *arrays[0].shape[1:]), arrays[0].dtype)
            for owner in np.unique(owners):
                chosen = owners == owner
                rows = positions[chosen] - self._starts[owner]
                copied[chosen] = read_rows(arrays[owner], rows, copied.dtype)
            result.append(copied)
        return result


class ViewTable:
    """The row of each view of each image: rows to compute come first, then those to copy."""

    def __init__(self, known: KnownViews, images: int, views: int) -> None:
        """Begin without rows.

        Args:
            known: the views that need not be computed.
            images: the number of images.
            views: the number of views of each image.
        """
        self._known = known
        self._rows = np.zeros((images, views), np.int64)  # negative for rows to copy
        self._row_of: dict[bytes, int] = {}
        self._computed, self._copied = bytearray(), bytearray()  # the digests of the rows
        self._positions: list[int] = []

    @property
    def computed(self) -> int:
        """The number of rows to compute."""
        return len(self._computed) // _DIGEST_BYTES

    def forget_views(self) -> None:
        """Compare the views that follow with none before, which bounds the memory."""
        self._row_of.clear()

    def add(self, pixels: np.ndarray, index: int, view: int) -> bool:
        """Add a view of an image; return whether its activations have to be computed."""
        digest = view_digest(pixels)
        is_new = False
        if digest not in self._row_of:
            position = self._known.find(digest)
            if position is None:
                is_new = True
                self._row_of[digest] = self.computed
                self._computed += digest
            else:
                self._positions.append(position)
                self._row_of[digest] = -len(self._positions)
                self._copied += digest
        self._rows[index, view] = self._row_of[digest]
        return is_new

    def add_repeated(self, index: int, view: int, earlier: int) -> None:
        """Add a view of an image that shows the same as an earlier view of it."""
        self._rows[index, view] = self._rows[index, earlier]

    def rows(self) -> np.ndarray:
        """Return the row of each view, int64 (images, views)."""
        return np.where(self._rows < 0, self.computed - 1 - self._rows, self._rows)

    def digests(self) -> np.ndarray:
        """Return the digest of each row, uint8 (rows, bytes)."""
        both = np.frombuffer(bytes(self._computed + self._copied), np.uint8)
        return both.reshape(-1, _DIGEST_BYTES)

    def copied_activations(self) -> Iterator[list[np.ndarray]]:
        """Yield the activations of the rows that follow the computed ones."""
        for start in range(0, len(self._positions), _CHUNK):
            yield self._known.activations(np.array(self._positions[start : start + _CHUNK]))
