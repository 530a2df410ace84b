"""Guesses from the names of files which of them show the same thing, such as a patient."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from pipeline.data.dataset_statistics import GroupGuess
from pipeline.data.listing import SPLITS

# What the images of a data set are often several of.
_SUBJECTS = (
    "patients?|pat|subjects?|subj|cases?|persons?|people|users?|participants?|individuals?|animals?"
    "|specimens?|plants?|leaf|videos?|vid|clips?|movies?|scenes?|sequences?|seq|sessions?|slides?"
    "|wsi|study|series|visits?|sites?|flights?|cameras?|cam"
)
_SUBJECT = re.compile(rf"(?<![a-z])({_SUBJECTS})[-_ ]?\d+", re.IGNORECASE)
_COUNTER = re.compile(r"^(\d+)[-_ ][^/\d]*\d{1,3}\.[^.]*$")
_COUNTER_PATTERN = r"(\d+)[-_ ][^/]*$"

_MIN_GROUPS = 10  # fewer may be anything, and do not fill three splits
_MIN_SIZE = 1.5  # images of a group in a class, on average
_MAX_SHARE = 0.2  # of the images in the largest group


def guess_groups(keys: Sequence[str], labels: Sequence[int]) -> GroupGuess | None:
    """Return what tells groups of images, None if nothing does.

    Directories below those of the classes tell them, a subject with a number in the path, as in
    `patient_12`, and, less certainly, a number that several names begin with, as in `0012_3.png`.

    Args:
        keys: the path of each file below the directory of its class.
        labels: the class of each file.
    """
    if not keys:
        return None
    directories = [parts[0] if len(parts := PurePath(key).parts) > 1 else "" for key in keys]
    if _are_groups(directories, labels):
        count = len(set(directories))
        return GroupGuess("level", 1, count, directories[0], is_certain=True)
    words = {match[1].lower() for key in keys for match in _SUBJECT.finditer(key)}
    for word in sorted(words):
        pattern = rf"(?i)(?<![a-z])({word}[-_ ]?\d+)"
        names = _found(pattern, keys)
        if _are_groups(names, labels):
            return GroupGuess("pattern", pattern, len(set(names)), names[0], is_certain=True)
    if all(_COUNTER.match(PurePath(key).name) for key in keys):
        names = _found(_COUNTER_PATTERN, keys)
        if _are_groups(names, labels):
            count = len(set(names))
            return GroupGuess("pattern", _COUNTER_PATTERN, count, names[0], is_certain=False)
    return None


def _found(pattern: str, keys: Sequence[str]) -> list[str]:
    """Return what the group of a pattern finds in each key, empty where nothing is found."""
    search = re.compile(pattern).search
    return [match[1] if (match := search(key)) else "" for key in keys]


def _are_groups(names: Sequence[str], labels: Sequence[int]) -> bool:
    """Return whether names are as many and as frequent as those of groups, and none is empty.

    Names that are repeated in other classes only are numbers that begin anew in each class.
    """
    counts, pairs = Counter(names), set(zip(names, labels, strict=True))
    groups_of_class = Counter(label for _, label in pairs)
    return (
        "" not in counts
        and len(counts) >= _MIN_GROUPS
        and len(names) / len(pairs) >= _MIN_SIZE
        and max(counts.values()) <= _MAX_SHARE * len(names)
        and min(groups_of_class.values()) >= len(SPLITS)
    )
