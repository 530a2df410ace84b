"""The layout of an image directory: its splits, its classes and their images."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.errors import DataError

_SPLIT_OF_DIRECTORY = {"train": "train", "test": "test"} | dict.fromkeys(
    ("val", "valid", "validation"), "val"
)


def find_classes(path: Path) -> tuple[str, ...]:
    """Return the sorted class names: the subdirectories of `path`, or of its train directory.

    Raises:
        DataError: if there are fewer than two, or the splits have different classes.
    """
    splits = find_split_directories(path)
    train = splits.get("train", path)
    names = tuple(subdirectories(train))
    if len(names) < 2:
        raise DataError(
            f"data.path: expected subdirectories for two or more classes in {train}. "
            f"Received: {', '.join(names) or 'none'}."
        )
    for directory in splits.values():
        differences = describe_class_differences(subdirectories(directory), names)
        if differences:
            raise DataError(
                f"data.path: the classes in {directory} differ from those in {train}. "
                f"{differences} Expected: {', '.join(names)}."
            )
    return names


def find_split_directories(path: Path) -> dict[str, Path]:
    """Return the directories of the splits, empty if `path` has one subdirectory per class.

    Raises:
        DataError: if two directories are the same split.
    """
    named = [
        (name, _SPLIT_OF_DIRECTORY[name.lower()])
        for name in subdirectories(path)
        if _is_split(name)
    ]
    others = len(subdirectories(path)) - len(named)
    if "train" not in [split for _, split in named] or (len(named) == 1 and others):
        return {}
    directories: dict[str, Path] = {}
    for name, split in named:
        if split in directories:
            raise DataError(
                f"data.path: {directories[split].name} and {name} in {path} are the same split. "
                "Keep one of them."
            )
        directories[split] = path / name
    return directories


def _is_split(name: str) -> bool:
    return name.lower() in _SPLIT_OF_DIRECTORY


def subdirectories(path: Path) -> list[str]:
    """Return the sorted names of the visible subdirectories."""
    return sorted(entry.name for entry in path.iterdir() if _is_visible(entry) and entry.is_dir())


def find_images(directory: Path) -> Iterator[Path]:
    """Yield the images below `directory`, sorted, following links but visiting nothing twice."""
    from pipeline.data.image_formats import SUFFIXES

    # A link to a parent directory would add the images of the other classes.
    visited = {str(parent) for parent in Path(os.path.realpath(directory)).parents}
    for root, subdirectories, names in os.walk(directory, followlinks=True):
        real = os.path.realpath(root)
        if real in visited:
            subdirectories.clear()
            continue
        visited.add(real)
        subdirectories[:] = sorted(name for name in subdirectories if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES:  # noqa: PTH122
                yield Path(root, name)


def describe_class_differences(received: Sequence[str], expected: Sequence[str]) -> str:
    """Return `Missing: …. Unexpected: ….`, or an empty string if the class names are equal."""
    missing = [name for name in expected if name not in received]
    unexpected = [name for name in received if name not in expected]
    return " ".join(
        f"{title}: {', '.join(names)}."
        for title, names in (("Missing", missing), ("Unexpected", unexpected))
        if names
    )


def _is_visible(entry: Path) -> bool:
    return not entry.name.startswith((".", "__"))
