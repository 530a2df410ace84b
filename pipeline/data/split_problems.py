"""Says why a run cannot use the splits that the images of a data set are in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.data.listing import Listing

_SHARES = {"val": "validation", "test": "test"}  # the key with the share of each drawn split


def empty_classes(listing: Listing, counts: Sequence[int]) -> list[str]:
    """Return the classes without an image, of a split with so many images of each."""
    return [name for name, count in zip(listing.class_names, counts, strict=True) if not count]


def describe_split_problem(
    listing: Listing,
    split: str,
    images: int,
    class_counts: Sequence[int],
    fractions: Mapping[str, float],
) -> str:
    """Return why a run cannot use a split, with what to do, or an empty string.

    Args:
        listing: the files.
        split: its name.
        images: how many it has.
        class_counts: of each class.
        fractions: the share of each split that is drawn.
    """
    root = listing.root
    if split in fractions:
        if images:
            return ""
        return (
            f"data.path: the {split} split of {root}, which is drawn from the training images, is "
            "empty: there are too few images, or too few groups of images that belong together, "
            f"such as copies of one picture. Add images, or set data.{_SHARES[split]} to 0."
        )
    empty = empty_classes(listing, class_counts)
    if images and not empty:
        return ""
    missing = f" of {', '.join(empty)}" if empty else ""
    return f"data.path: the {split} split of {root} has no images{missing}. Add images."
