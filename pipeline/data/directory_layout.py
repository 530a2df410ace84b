"""The layout of an image directory: where its splits and its classes are."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from pipeline.data.file_walk import (
    file_names,
    has_images,
    has_images_below,
    subdirectories,
    walk_files,
)
from pipeline.data.listing import SPLITS
from pipeline.data.remote_path import AnyPath, is_below
from pipeline.data.split_names import find_splits, is_for_prediction, split_of
from pipeline.data.table_reader import TABLE_SUFFIXES
from pipeline.errors import DataError

# How the directories below the path are named, from the top; `*` is any name.
LayoutName = Literal["class", "split/class", "class/split", "*/class"]
_ARCHIVE_SUFFIXES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"}
_UNLABELLED = "images"  # the only class of images without classes


@dataclass(frozen=True)
class ClassDirectory:
    """A directory with images of one class.

    Attributes:
        path: the directory.
        class_name: the class.
        split: `train`, `val` or `test`; None if it is to be drawn.
        prefix: what the paths of its files begin with, where a class has several directories.
    """

    path: AnyPath
    class_name: str
    split: str | None
    prefix: str = ""


@dataclass(frozen=True)
class DirectoryLayout:
    """The directories of a data set.

    Attributes:
        root: the directory that has the splits or the classes.
        name: the layout.
        class_names: sorted.
        directories: by split, then by class.
        ignored: the directories that are in no split, each with the reason.
    """

    root: AnyPath
    name: LayoutName | Literal["unlabelled"]
    class_names: tuple[str, ...]
    directories: tuple[ClassDirectory, ...]
    ignored: tuple[str, ...]

    @property
    def splits(self) -> frozenset[str]:
        """The splits that have directories."""
        return frozenset(item.split for item in self.directories if item.split)


def find_layout(
    path: AnyPath,
    *,
    layout: LayoutName | None = None,
    splits: Mapping[str, str] | None = None,
) -> DirectoryLayout:
    """Return the splits and classes of a directory.

    Args:
        path: the directory.
        layout: its layout, None to recognize it by the names and contents of its directories.
        splits: the directory of each split, relative to `path`; None to recognize them.

    Raises:
        DataError: if there are fewer than two classes, the splits have different classes, or the
            layout is ambiguous.
        OSError: if a directory cannot be read.
    """
    if splits:
        directories = {name: path / directory for name, directory in splits.items()}
        for name, directory in directories.items():
            if not directory.is_dir():
                raise DataError(f"data.splits: {name}, {directory}, is not a directory.")
        return _read_splits(path, directories)
    root, ignored = (path, []) if layout else _unwrap(path)
    return _read(root, layout or _recognize(root), ignored)


def find_unlabelled(path: AnyPath) -> DirectoryLayout:
    """Return the layout of images without classes: in directories of splits, or anywhere below.

    Args:
        path: the directory.

    Raises:
        DataError: if there is no image below it, or none to train on.
        OSError: if a directory cannot be read.
    """
    found = find_splits(subdirectories(path))
    if "train" in found.values():
        directories = {split: path / name for name, split in _unique(path, found).items()}
    else:
        directories = {"": path}
    items = [
        ClassDirectory(directories[split], _UNLABELLED, split or None)
        for split in ("", *SPLITS)
        if split in directories
    ]
    if not has_images_below(items[0].path):
        raise DataError(f"data.path: there is no image in {items[0].path}.")
    return DirectoryLayout(path, "unlabelled", (_UNLABELLED,), tuple(items), ())


def describe_class_differences(received: Sequence[str], expected: Sequence[str]) -> str:
    """Return `Missing: …. Unexpected: ….`, or an empty string if the class names are equal."""
    missing = [name for name in expected if name not in received]
    unexpected = [name for name in received if name not in expected]
    return " ".join(
        f"{title}: {', '.join(names)}."
        for title, names in (("Missing", missing), ("Unexpected", unexpected))
        if names
    )


def _read(root: AnyPath, layout: LayoutName, ignored: Sequence[str] = ()) -> DirectoryLayout:
    if layout == "split/class":
        return _read_splits(root, _split_directories(root), ignored)
    if layout == "class/split":
        return _read_splits_of_classes(root, ignored)
    if layout == "*/class":
        directories = [
            ClassDirectory(root / group / name, _normal(name), None, f"{group}/")
            for group in _with_images(root)
            for name in subdirectories(root / group)
        ]
    else:
        reasons = {name: _reason_to_ignore(root / name) for name in subdirectories(root)}
        directories = [
            ClassDirectory(root / name, _normal(name), None)
            for name, reason in reasons.items()
            if not reason
        ]
        ignored = [*ignored, *(f"{name}/ ({why})" for name, why in reasons.items() if why)]
    return _layout(root, layout, directories, ignored)


def _reason_to_ignore(directory: AnyPath) -> str:
    """Return why a directory beside those of the classes is none of them, empty if it is one."""
    if is_for_prediction(directory.name):
        return "images without classes"
    if has_images_below(directory):
        return ""
    is_empty = next(walk_files(directory), None) is None  # of a class whose images are missing
    return "" if is_empty else "no images"


def _read_splits(
    root: AnyPath, split_directories: Mapping[str, AnyPath], ignored: Sequence[str] = ()
) -> DirectoryLayout:
    """Return the layout of directories of splits that have a subdirectory per class."""
    ignored = [
        *ignored,
        *(
            f"{name}/ ({_reason_to_ignore(root / name) or 'neither a split nor a class'})"
            for name in subdirectories(root)
            if not any(is_below(path, root / name) for path in split_directories.values())
            and has_images_below(root / name)
        ),
    ]
    directories: list[ClassDirectory] = []
    train = _descend(split_directories["train"], "train")
    expected = sorted({_normal(name) for name in subdirectories(train)})
    for split in SPLITS:
        if split not in split_directories:
            continue
        directory = _descend(split_directories[split], split)
        names = {_normal(name): name for name in subdirectories(directory)}
        if split == "test" and _is_unlabelled(directory, expected):
            ignored.append(f"{directory.name}/ (images without classes, for pipeline predict)")
            continue
        differences = describe_class_differences(sorted(names), expected)
        if differences:
            raise DataError(
                f"data.path: the classes in {directory} differ from those in {train}. "
                f"{differences} Expected: {', '.join(expected)}."
            )
        directories += [ClassDirectory(directory / names[name], name, split) for name in expected]
    return _layout(root, "split/class", directories, ignored)


def _is_unlabelled(test: AnyPath, class_names: Sequence[str]) -> bool:
    """Return whether a test directory has images, but at most one directory, which is no class."""
    filled = [name for name in subdirectories(test) if has_images_below(test / name)]
    is_bare = not filled and has_images(test)
    return is_bare or (len(filled) == 1 and _normal(filled[0]) not in class_names)


def _read_splits_of_classes(root: AnyPath, ignored: Sequence[str]) -> DirectoryLayout:
    directories: list[ClassDirectory] = []
    for name in _with_images(root):
        inside = find_splits(subdirectories(root / name))
        if "train" not in inside.values():
            raise DataError(
                f"data.path: expected a train directory in each class in {root}. {name} has "
                f"{', '.join(subdirectories(root / name)) or 'no directories'}."
            )
        directories += [
            ClassDirectory(root / name / directory, _normal(name), split)
            for directory, split in _unique(root / name, inside).items()
        ]
    directories.sort(key=lambda item: SPLITS.index(item.split or "train"))
    layout = _layout(root, "class/split", directories, ignored)
    for split in sorted(layout.splits, key=SPLITS.index):
        present = sorted({item.class_name for item in directories if item.split == split})
        differences = describe_class_differences(present, layout.class_names)
        if differences:
            raise DataError(
                f"data.path: some classes in {root} have no {split} directory. {differences}"
            )
    return layout


def _layout(
    root: AnyPath, name: LayoutName, directories: Sequence[ClassDirectory], ignored: Sequence[str]
) -> DirectoryLayout:
    class_names = tuple(sorted({item.class_name for item in directories}))
    if len(class_names) < 2:
        train = directories[0].path.parent if name == "split/class" and directories else root
        raise DataError(
            f"data.path: expected subdirectories for two or more classes in {train}. "
            f"Received: {', '.join(class_names) or 'none'}.{_hint(root)}"
        )
    return DirectoryLayout(root, name, class_names, tuple(directories), tuple(ignored))


def _hint(root: AnyPath) -> str:
    """Return what to do with the files in a directory without classes, if there are any."""
    suffixes = {name: PurePath(name).suffix.lower() for name in sorted(file_names(root))}
    for name, suffix in suffixes.items():
        if suffix in TABLE_SUFFIXES:
            return f" If {name} has the labels, use data.source: table."
    for name, suffix in suffixes.items():
        if suffix in _ARCHIVE_SUFFIXES:
            return f" Extract {name} if the images are in it."
    return " Put the images of each class into a subdirectory." if has_images(root) else ""


def _unwrap(path: AnyPath) -> tuple[AnyPath, list[str]]:
    """Return the directory inside `path` that has the splits or classes, and what is beside it.

    An archive often has a single directory, and a data set a directory `images` beside others
    without images.
    """
    ignored: list[str] = []
    while True:
        names = subdirectories(path)
        filled = names if len(names) == 1 else [n for n in names if has_images_below(path / n)]
        if len(filled) != 1 or split_of(filled[0]):
            return path, ignored
        inner = path / filled[0]
        if has_images(path) or has_images(inner) or not subdirectories(inner):
            return path, ignored
        path = inner


def _descend(directory: AnyPath, split: str) -> AnyPath:
    """Return the directory with the classes of a split, as in `train/train` or `test/images`."""
    names = subdirectories(directory)
    if len(names) == 1 and not has_images(directory):
        inner = directory / names[0]
        if find_splits([names[0]]).get(names[0]) == split or names[0] == directory.name:
            return _descend(inner, split)
        if len(subdirectories(inner)) > 1 and not has_images(inner):
            return inner
    return directory


def _recognize(root: AnyPath) -> LayoutName:
    """Return the layout of a directory.

    Raises:
        DataError: if two are possible.
    """
    names = _with_images(root)
    splits = find_splits(names)
    others = [name for name in names if name not in splits and not is_for_prediction(name)]
    if "train" in splits.values():
        trains = [name for name, split in splits.items() if split == "train"]
        classes = [
            name for train in trains for name in subdirectories(_descend(root / train, "train"))
        ]
        if classes:
            if len(splits) == 1 and others:
                raise _ambiguous(root, "split/class", classes, "class", [*others, *splits])
            return "split/class"
        if len(splits) > 1 and not others:
            raise DataError(
                f"data.path: {' and '.join(splits)} in {root} have images, but no directories for "
                "classes. Put the images of each class in a directory of its own, or use "
                "data.source: table if the labels are in a file."
            )
    elif len(splits) > 1 and not others and not any(has_images(root / name) for name in splits):
        raise DataError(
            f"data.path: {root} has directories for {' and '.join(splits)}, but none for train. "
            "Name the directories of the splits in data.splits, or set data.layout to class if "
            "these are classes."
        )
    if len(names) > 1 and not splits:
        return _recognize_classes(root, names)
    return "class"


def _recognize_classes(root: AnyPath, names: Sequence[str]) -> LayoutName:
    """Return the layout of a directory without directories for splits."""
    if any(has_images(root / name) for name in names):
        return "class"
    inside = [subdirectories(root / name) for name in names]
    with_train = [
        name
        for name, inner in zip(names, inside, strict=True)
        if "train" in find_splits(inner).values()
    ]
    if len(with_train) == len(names):
        return "class/split"
    splits = [set(find_splits(inner).values()) for inner in inside]
    if sum({"train", "test"} <= found or {"train", "val"} <= found for found in splits) > 1:
        raise _ambiguous(root, "class/split", with_train, "class", names)
    is_same = len({tuple(inner) for inner in inside}) == 1 and len(inside[0]) > 1
    if is_same and not (_are_numbered(inside[0]) and not _are_numbered(names)):
        raise _ambiguous(root, "*/class", inside[0], "class", names)
    return "class"


def _are_numbered(names: Sequence[str]) -> bool:
    """Return whether names differ in a number only, as those of patients do, unlike classes."""
    return len({name.rstrip("0123456789") for name in names}) == 1


def _ambiguous(
    root: AnyPath, one: LayoutName, its: Sequence[str], other: LayoutName, others: Sequence[str]
) -> DataError:
    return DataError(
        f"data.path: {root} can be read in two ways. {one}: the classes are {_few(its)}. "
        f"{other}: the classes are {_few(sorted(others))}. Set data.layout to {one} or {other}."
    )


def _split_directories(root: AnyPath) -> dict[str, AnyPath]:
    """Return the directory of each split in `root`.

    Raises:
        DataError: if two directories are the same split, or none is for train.
    """
    found = _unique(root, find_splits(subdirectories(root)))
    if "train" not in found.values():
        raise DataError(
            f"data.path: expected a directory for train in {root}. "
            f"Received: {', '.join(subdirectories(root)) or 'none'}."
        )
    return {split: root / name for name, split in found.items()}


def _unique(root: AnyPath, splits: Mapping[str, str]) -> Mapping[str, str]:
    named: dict[str, str] = {}
    for name, split in splits.items():
        if split in named:
            raise DataError(
                f"data.path: {named[split]} and {name} in {root} are the same split. Keep one of "
                "them, or name the directories of the splits in data.splits."
            )
        named[split] = name
    return splits


def _with_images(root: AnyPath) -> list[str]:
    """Return the subdirectories with images; all of them if none has any."""
    names = subdirectories(root)
    return [name for name in names if has_images_below(root / name)] or names


def _normal(name: str) -> str:
    """Return a class name with composed characters: archives made on macOS take them apart."""
    return unicodedata.normalize("NFC", name)


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
