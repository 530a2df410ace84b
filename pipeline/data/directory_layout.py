"""What the folders of a data set mean: its splits, its classes and their images."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.errors import DataError

_SPLIT_FOLDERS = {"train": "train", "test": "test"} | dict.fromkeys(
    ("val", "valid", "validation"), "val"
)


def find_classes(path: Path) -> tuple[str, ...]:
    """Return the classes of a data set, in order: the names of its folders, or of train's.

    Raises:
        DataError: if there are fewer than two, or another split has other ones.
    """
    splits = find_split_directories(path)
    train = splits.get("train", path)
    names = tuple(subdirectories(train))
    if len(names) < 2:
        raise DataError(
            f"data.path: expected a folder for each of two classes or more in {train}. "
            f"Received: {', '.join(names) or 'none'}."
        )
    for folder in splits.values():
        differences = describe_class_differences(
            subdirectories(folder), names, extra="which train does not"
        )
        if differences:
            raise DataError(
                f"data.path: {folder} has other classes than train.{differences} "
                f"Expected: {', '.join(names)}."
            )
    return names


def find_split_directories(path: Path) -> dict[str, Path]:
    """Return the folders of the splits, or nothing where there is a folder a class."""
    named = [
        (name, _SPLIT_FOLDERS[name.lower()]) for name in subdirectories(path) if _is_split(name)
    ]
    others = len(subdirectories(path)) - len(named)
    if "train" not in [split for _, split in named] or (len(named) == 1 and others):
        return {}
    found: dict[str, Path] = {}
    for name, split in named:
        if split in found:
            raise DataError(
                f"data.path: {found[split].name} and {name} in {path} are the same split. "
                "Keep one of them."
            )
        found[split] = path / name
    return found


def _is_split(name: str) -> bool:
    return name.lower() in _SPLIT_FOLDERS


def subdirectories(path: Path) -> list[str]:
    """Return the names of the folders in a folder, in order."""
    return sorted(entry.name for entry in path.iterdir() if _is_visible(entry) and entry.is_dir())


def find_images(folder: Path) -> Iterator[Path]:
    """Yield the images below `folder`, sorted; a folder that links lead to twice is read once."""
    from pipeline.data.image_decoding import SUFFIXES

    # A link to a folder above would bring in the other classes' images.
    seen = {str(above) for above in Path(os.path.realpath(folder)).parents}
    for root, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES:  # noqa: PTH122
                yield Path(root, name)


def describe_class_differences(
    received: Sequence[str], expected: Sequence[str], *, extra: str
) -> str:
    """Return which classes are missing and which are too many, in words; empty where none is.

    Args:
        received: the names of the classes.
        expected: the names that they should have.
        extra: what is wrong with a class that is too many.
    """
    missing = [name for name in expected if name not in received]
    more = [name for name in received if name not in expected]
    lacks = f" It lacks {', '.join(missing)}." if missing else ""
    has = f" It has {', '.join(more)}, {extra}." if more else ""
    return lacks + has


def _is_visible(entry: Path) -> bool:
    return not entry.name.startswith((".", "__"))
