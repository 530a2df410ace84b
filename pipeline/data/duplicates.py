"""Images that show the same picture: copies of a file, also encoded anew or scaled.

Each image is reduced to a thumbnail. The signs of its lowest frequencies are its perceptual hash
(after Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010), cut into
bands: images that agree in a whole band are compared by their thumbnails' pixels. The time grows
with the number of images, not with its square.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.data.splits import Duplicates
from pipeline.errors import escape_unprintable

SIDE = 16

# Root mean square difference of two thumbnails, as a share of their contrast. Photographs encoded
# anew at JPEG qualities from 30 on or scaled stay below it; the nearest two different ones
# of ants and bees are at 0.45, and five pairs of MNIST's 70,000 digits, all ones, lie below it.
MAX_DIFFERENCE = 0.1

_FREQUENCIES = 128  # bits of the hash
_BANDS = 8
_MOST_FLIPPED = 12  # bits of the hash by which two images may differ and be compared
_MOST_NEIGHBOURS = 64  # that an image is compared with in each band
_CHUNK = 8192


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Return the means of 16 × 16 fields of an image.

    Args:
        image: uint8 (height, width, 3).

    Returns:
        uint8 (16, 16, 3).
    """
    return np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BOX))


def find_duplicate_groups(thumbnails: np.ndarray) -> list[list[int]]:
    """Return the images that show the same picture, as groups of two or more numbers in order.

    Among very many images that nearly agree, one may be missed; a copy of the same bytes never is.

    Args:
        thumbnails: uint8 (n, 16, 16, 3).
    """
    count = len(thumbnails)
    hashes, contrasts = _hashes(thumbnails), _contrasts(thumbnails)
    same: list[np.ndarray] = []
    group = np.arange(count)
    for candidates in _candidates(hashes):
        candidates = candidates[:, group[candidates[0]] != group[candidates[1]]]
        found = candidates[:, _look_alike(thumbnails, contrasts, candidates)]
        if found.size:
            same.append(found)
            rows, columns = np.concatenate(same, axis=1)
            links = coo_array((np.ones(len(rows)), (rows, columns)), shape=(count, count))
            _, group = connected_components(links, directed=False)
    members: dict[int, list[int]] = {}
    for number in np.flatnonzero(np.bincount(group, minlength=count)[group] > 1):
        members.setdefault(int(group[number]), []).append(int(number))
    return list(members.values())


def describe_leakage(duplicates: Sequence[Duplicates]) -> str:
    """Return which pictures are in more than one split; an empty text where none is."""
    leaks = [copies for copies in duplicates if is_leak(copies)]
    if not leaks:
        return ""
    return (
        f"{_pictures(leaks)} in more than one split, which flatters the metrics. Keep one image of "
        f"each:{_listed(leaks)}"
    )


def describe_repetitions(duplicates: Sequence[Duplicates]) -> Iterator[str]:
    """Yield which pictures are in more than one class, and which repeat in a class of a split."""
    at_odds = [copies for copies in duplicates if _is_at_odds(copies)]
    if at_odds:
        yield (
            f"WARNING: {_pictures(at_odds)} in more than one class. At most one is right; keep the "
            f"image in it:{_listed(at_odds)}"
        )
    repeated = [copies for copies in duplicates if not is_leak(copies) and copies not in at_odds]
    if repeated:
        yield f"{_pictures(repeated)} more than once in a class:{_listed(repeated)}"


def is_leak(copies: Duplicates) -> bool:
    """Return whether a picture is in more than one split."""
    return len({copy.split for copy in copies}) > 1


def _is_at_odds(copies: Duplicates) -> bool:
    return len({copy.label for copy in copies}) > 1


def _pictures(groups: Sequence[Duplicates]) -> str:
    return f"{len(groups):,} picture{'s are' if len(groups) > 1 else ' is'}"


def _listed(groups: Sequence[Duplicates], most: int = 20) -> str:
    lines = []
    for copies in groups[:most]:
        kind = "the same file" if len({copy.digest for copy in copies}) == 1 else "the same picture"
        lines.append(f"\n  {' = '.join(escape_unprintable(copy.name) for copy in copies)} ({kind})")
    more = f"\n  and {len(groups) - most:,} more" if len(groups) > most else ""
    return "".join(lines) + more


def _hashes(thumbnails: np.ndarray) -> np.ndarray:
    """Return the perceptual hashes, uint16 (n, 8): a column a band."""
    rows, columns = np.indices((SIDE, SIDE))
    order = np.lexsort((rows.ravel(), (rows + columns).ravel()))[1 : _FREQUENCIES + 1]
    hashes = np.empty((len(thumbnails), _BANDS), np.uint16)
    for start in range(0, len(thumbnails), _CHUNK):
        gray = thumbnails[start : start + _CHUNK].mean(axis=-1, dtype=np.float32)
        frequencies = dctn(gray, axes=(1, 2)).reshape(len(gray), -1)[:, order]
        bits = frequencies > 1.0  # what is flat has no sign
        packed = np.packbits(bits.reshape(len(gray), _BANDS, -1), axis=-1)
        hashes[start : start + len(gray)] = packed.view(np.uint16)[..., 0]
    return hashes


def _candidates(hashes: np.ndarray) -> Iterator[np.ndarray]:
    """Yield int (2, pairs): numbers of images that agree in a band and nearly in the others."""
    for band in range(_BANDS):
        # Within a band the whole hashes are in order too, so that copies are next to each other.
        order = np.lexsort((*hashes.T, hashes[:, band]))
        in_order = hashes[order]
        for distance in range(1, min(_MOST_NEIGHBOURS, len(order) - 1) + 1):
            one, other = in_order[:-distance], in_order[distance:]
            places = np.flatnonzero(one[:, band] == other[:, band])
            if not len(places):
                break
            flipped = np.bitwise_count(one[places] ^ other[places]).sum(axis=1)
            places = places[flipped <= _MOST_FLIPPED]
            yield np.stack([order[places], order[places + distance]])


def _contrasts(thumbnails: np.ndarray) -> np.ndarray:
    """Return the standard deviation over places of each thumbnail, float32 (n,)."""
    contrasts = np.empty(len(thumbnails), np.float32)
    for start in range(0, len(thumbnails), _CHUNK):
        pixels = thumbnails[start : start + _CHUNK].astype(np.float32)
        pixels -= pixels.mean(axis=(1, 2), keepdims=True)
        contrasts[start : start + len(pixels)] = _root_mean_square(pixels)
    return contrasts


def _look_alike(thumbnails: np.ndarray, contrasts: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return whether the thumbnails of each pair differ by at most `MOST_DIFFERENCE`, bool."""
    differences = np.empty(pairs.shape[1], np.float32)
    for start in range(0, len(differences), _CHUNK):
        one, other = thumbnails[pairs[:, start : start + _CHUNK]].astype(np.float32)
        differences[start : start + len(one)] = _root_mean_square(one - other)
    return differences <= MAX_DIFFERENCE * contrasts[pairs].min(axis=0)


def _root_mean_square(pixels: np.ndarray) -> np.ndarray:
    flat = pixels.reshape(len(pixels), -1)
    return np.sqrt(np.einsum("ij,ij->i", flat, flat) / flat.shape[1])
