"""Recognizes the directories of splits by their names, in the usual spellings."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

_SPLIT_OF_WORD = {
    **dict.fromkeys(("train", "training", "trn", "trainval"), "train"),
    **dict.fromkeys(
        ("val", "valid", "validation", "validate", "dev", "devel", "development", "eval"), "val"
    ),
    **dict.fromkeys(("test", "testing", "tst", "holdout"), "test"),
}
_FOR_PREDICTION = {
    *("unlabelled", "unlabeled", "unlabel", "unsup", "unsupervised"),
    *("pred", "predict", "prediction", "predictions", "inference"),
}
# What stands beside the name of a split, as in `train_images` or `test set`.
_FILLERS = {"set", "data", "dataset", "image", "images", "img", "imgs", "split", "seg", "samples"}
_JOINED = {f"{word}set" for word in _SPLIT_OF_WORD}


def split_of(name: str) -> str | None:
    """Return the split that a name alone stands for, such as `Training` or `test_set`."""
    word, rest = _parse(name)
    return word if not rest else None


def find_splits(names: Sequence[str]) -> dict[str, str]:
    """Return the split of each name that stands for one.

    A name with another word beside the split, such as `cars_train`, stands for a split only if
    there is its counterpart, `cars_test`.
    """
    parsed = {name: _parse(name) for name in names}
    splits_of_rest = defaultdict(set)
    for split, rest in parsed.values():
        if split:
            splits_of_rest[rest].add(split)
    return {
        name: split
        for name, (split, rest) in parsed.items()
        if split and (not rest or len(splits_of_rest[rest]) > 1)
    }


def is_for_prediction(name: str) -> bool:
    """Return whether a name is usual for images without labels."""
    words = [word for word in _words(name) if word not in _FILLERS]
    return bool(words) and all(word in _FOR_PREDICTION for word in words)


def _parse(name: str) -> tuple[str | None, tuple[str, ...]]:
    """Return the split in a name, and its other words."""
    words = _words(name)
    words = [word.removesuffix("set") if word in _JOINED else word for word in words]
    splits = [_SPLIT_OF_WORD[word] for word in words if word in _SPLIT_OF_WORD]
    if len(splits) != 1:
        return None, ()
    rest = (word for word in words if word not in _SPLIT_OF_WORD and word not in _FILLERS)
    return splits[0], tuple(rest)


def _words(name: str) -> list[str]:
    """Return the words of a name in lower case, without a number behind them: `val2017`."""
    return [word.rstrip("0123456789") or word for word in re.split(r"[\W_]+", name.lower()) if word]
