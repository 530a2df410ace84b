"""Duplicate images: copies of a file, including re-encoded and resized ones.

Each image is reduced to a thumbnail. The signs of its lowest frequencies form its perceptual hash
(after Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010), split into
bands. Images that are equal in one band are compared by the pixels of their thumbnails, so the time
grows with the number of images, not with its square.

What counts as a copy depends on the data: photographs of one scene by a fixed camera resemble each
other more than copies of a holiday picture do. Two images are copies if they are closer to each
other than either is to its surroundings, as in the ratio test of Lowe, Distinctive Image Features
from Scale-Invariant Keypoints, 2004.
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

# Root mean square difference of two thumbnails relative to their contrast. Photographs that are
# resized, or re-encoded at a JPEG quality of 30 or more, stay below it. The closest two different
# photographs of ants and bees are at 0.45; five pairs of MNIST's digits, all ones, are below it.
MAX_DIFFERENCE = 0.1

_MAX_COPIES = 8  # images that may be as close without being a scene of their own
_MAX_RATIO = 1 / 3  # of the distance between copies to the distance of the next images
_SAMPLE = 2000  # images among which those next images are searched

_FREQUENCIES = 128  # bits of the hash
_BANDS = 8
_MAX_HAMMING_DISTANCE = 12  # between the hashes of two images that are compared
_MAX_NEIGHBOURS = 64  # images that an image is compared with in each band
_CHUNK = 8192


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Return an image reduced to 16 × 16 means.

    Args:
        image: uint8 (height, width, 3).

    Returns:
        uint8 (16, 16, 3).
    """
    return np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BOX))


def find_duplicate_groups(thumbnails: np.ndarray) -> list[list[int]]:
    """Return groups of duplicates, each with the indices of two or more images in order.

    One of very many nearly equal images may be missed, but never a copy of the same bytes.

    Args:
        thumbnails: uint8 (n, 16, 16, 3).
    """
    count = len(thumbnails)
    contrasts = _contrasts(thumbnails)
    surroundings = np.full(count, np.nan, np.float32)  # distances, computed when they are needed
    duplicates: list[np.ndarray] = []
    group = np.arange(count)
    for candidates in _candidates(_hashes(thumbnails)):
        candidates = candidates[:, group[candidates[0]] != group[candidates[1]]]
        distances = _distances(thumbnails, contrasts, candidates)
        is_close = distances <= MAX_DIFFERENCE
        candidates, distances = candidates[:, is_close], distances[is_close]
        unknown = np.unique(candidates[:, distances > 0])
        unknown = unknown[np.isnan(surroundings[unknown])]
        surroundings[unknown] = _surroundings(thumbnails, contrasts, unknown)
        limits = _MAX_RATIO * surroundings[candidates].min(axis=0)
        pairs = candidates[:, (distances == 0) | (distances <= limits)]
        if pairs.size:
            duplicates.append(pairs)
            rows, columns = np.concatenate(duplicates, axis=1)
            links = coo_array((np.ones(len(rows)), (rows, columns)), shape=(count, count))
            _, group = connected_components(links, directed=False)
    members: dict[int, list[int]] = {}
    for number in np.flatnonzero(np.bincount(group, minlength=count)[group] > 1):
        members.setdefault(int(group[number]), []).append(int(number))
    return list(members.values())


def describe_leakage(duplicates: Sequence[Duplicates]) -> str:
    """Return which pictures are in more than one split with the same pixels, or an empty string."""
    leaks = [copies for copies in duplicates if is_certain_leak(copies)]
    if not leaks:
        return ""
    return (
        f"{_count(leaks)} in more than one split, which makes the metrics too good. Keep one copy "
        f"of each:{_listing(leaks)}"
    )


def describe_likely_leakage(duplicates: Sequence[Duplicates]) -> str:
    """Return which pictures seem to be in more than one split, or an empty string."""
    leaks = [copies for copies in duplicates if is_leak(copies) and not is_certain_leak(copies)]
    if not leaks:
        return ""
    pictures = "pictures seem" if len(leaks) > 1 else "picture seems"
    return (
        f"{len(leaks):,} {pictures} to be in more than one split, which would make the metrics too "
        f"good. If these are copies, keep one of each:{_listing(leaks)}"
    )


def describe_label_conflicts(duplicates: Sequence[Duplicates]) -> str:
    """Return which pictures have copies with different labels, or an empty string."""
    conflicts = [copies for copies in duplicates if _has_label_conflict(copies)]
    if not conflicts:
        return ""
    return (
        f"{_count(conflicts)} labeled in more than one way. Keep only the copies with the correct "
        f"label:{_listing(conflicts)}"
    )


def describe_repetitions(duplicates: Sequence[Duplicates]) -> str:
    """Return which pictures are repeated in one class of one split, or an empty string."""
    repeated = [
        copies for copies in duplicates if not is_leak(copies) and not _has_label_conflict(copies)
    ]
    return f"{_count(repeated)} repeated in a class:{_listing(repeated)}" if repeated else ""


def is_leak(copies: Duplicates) -> bool:
    """Return whether a picture is in more than one split."""
    return len({copy.split for copy in copies}) > 1


def is_certain_leak(copies: Duplicates) -> bool:
    """Return whether images with the same pixels are in more than one split."""
    splits = {copy.identity: copy.split for copy in copies}
    return any(splits[copy.identity] != copy.split for copy in copies)


def _has_label_conflict(copies: Duplicates) -> bool:
    return len({copy.label for copy in copies}) > 1


def _count(groups: Sequence[Duplicates]) -> str:
    return f"{len(groups):,} picture{'s are' if len(groups) > 1 else ' is'}"


def _listing(groups: Sequence[Duplicates], max_groups: int = 20) -> str:
    lines = []
    for copies in groups[:max_groups]:
        kind = "look the same"
        if len({copy.digest for copy in copies}) == 1:
            kind = "same file"
        elif len({copy.identity for copy in copies}) == 1:
            kind = "same pixels"
        lines.append(f"\n  {' = '.join(escape_unprintable(copy.name) for copy in copies)} ({kind})")
    more = f"\n  and {len(groups) - max_groups:,} more" if len(groups) > max_groups else ""
    return "".join(lines) + more


def _hashes(thumbnails: np.ndarray) -> np.ndarray:
    """Return the perceptual hashes, uint16 (n, 8), one column per band."""
    rows, columns = np.indices((SIDE, SIDE))
    order = np.lexsort((rows.ravel(), (rows + columns).ravel()))[1 : _FREQUENCIES + 1]
    hashes = np.empty((len(thumbnails), _BANDS), np.uint16)
    for start in range(0, len(thumbnails), _CHUNK):
        gray = thumbnails[start : start + _CHUNK].mean(axis=-1, dtype=np.float32)
        frequencies = dctn(gray, axes=(1, 2)).reshape(len(gray), -1)[:, order]
        bits = frequencies > 1.0  # rounding errors of flat images have no sign
        packed = np.packbits(bits.reshape(len(gray), _BANDS, -1), axis=-1)
        hashes[start : start + len(gray)] = packed.view(np.uint16)[..., 0]
    return hashes


def _candidates(hashes: np.ndarray) -> Iterator[np.ndarray]:
    """Yield int (2, pairs): images with one equal band and a small distance of the hashes."""
    for band in range(_BANDS):
        # Sorted by the other bands too, so that copies are next to each other.
        order = np.lexsort((*hashes.T, hashes[:, band]))
        in_order = hashes[order]
        for distance in range(1, min(_MAX_NEIGHBOURS, len(order) - 1) + 1):
            one, other = in_order[:-distance], in_order[distance:]
            first = np.flatnonzero(one[:, band] == other[:, band])
            if not len(first):
                break
            hamming = np.bitwise_count(one[first] ^ other[first]).sum(axis=1)
            first = first[hamming <= _MAX_HAMMING_DISTANCE]
            yield np.stack([order[first], order[first + distance]])


def _contrasts(thumbnails: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the pixels of each thumbnail, float32 (n,)."""
    contrasts = np.empty(len(thumbnails), np.float32)
    for start in range(0, len(thumbnails), _CHUNK):
        pixels = thumbnails[start : start + _CHUNK].astype(np.float32)
        pixels -= pixels.mean(axis=(1, 2), keepdims=True)
        contrasts[start : start + len(pixels)] = _root_mean_square(pixels)
    return contrasts


def _distances(thumbnails: np.ndarray, contrasts: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return the difference of two thumbnails relative to the lower contrast, float32 (pairs,)."""
    differences = np.empty(pairs.shape[1], np.float32)
    for start in range(0, len(differences), _CHUNK):
        one, other = thumbnails[pairs[:, start : start + _CHUNK]].astype(np.float32)
        differences[start : start + len(one)] = _root_mean_square(one - other)
    return _relative(differences, contrasts[pairs].min(axis=0))


def _surroundings(thumbnails: np.ndarray, contrasts: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Return the distance of images (n,) to the nearest others that are no copies, float32 (n,).

    It is infinite where there are no more images than an image may have copies.
    """
    count = len(thumbnails)
    sample = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(int))
    # In a sample of the images, an image has a share of its copies.
    rank = max(_MAX_COPIES * len(sample) // count, 1) + 1
    if len(sample) <= rank:
        return np.full(len(images), np.inf, np.float32)
    others = thumbnails[sample].reshape(len(sample), -1).astype(np.float32)
    squares = np.einsum("ij,ij->i", others, others)
    result = np.empty(len(images), np.float32)
    for start in range(0, len(images), _CHUNK // 8):
        rows = images[start : start + _CHUNK // 8]
        pixels = thumbnails[rows].reshape(len(rows), -1).astype(np.float32)
        means = squares + np.einsum("ij,ij->i", pixels, pixels)[:, np.newaxis]
        means = (means - 2 * pixels @ others.T) / pixels.shape[1]
        distances = _relative(
            np.sqrt(means.clip(min=0)), np.minimum(contrasts[rows, np.newaxis], contrasts[sample])
        )
        distances[rows[:, np.newaxis] == sample] = np.inf
        result[start : start + len(rows)] = np.partition(distances, rank - 1, axis=1)[:, rank - 1]
    return result


def _relative(differences: np.ndarray, contrasts: np.ndarray) -> np.ndarray:
    """Return differences divided by contrasts; equal images have no distance, even flat ones."""
    return np.where(differences > 0, differences / np.maximum(contrasts, 1e-6), 0)


def _root_mean_square(pixels: np.ndarray) -> np.ndarray:
    flat = pixels.reshape(len(pixels), -1)
    return np.sqrt(np.einsum("ij,ij->i", flat, flat) / flat.shape[1])
