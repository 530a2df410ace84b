"""What the statistics of a data set give reason to look at, in sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pipeline.data.dataset_statistics import (
    NOTABLE_IMBALANCE,
    Copies,
    DatasetStatistics,
)

_MAX_NAMED = 3
_MAX_COPIES = 4  # of a picture that are named
_FEW_IMAGES = 10  # of a class


def describe_findings(statistics: DatasetStatistics) -> list[str]:
    """Return what is worth a look, each as a sentence with what to do about it."""
    return [
        *statistics.problems,
        *describe_file_findings(statistics),
        *_imbalance(statistics),
        *_groups(statistics),
    ]


def describe_file_findings(statistics: DatasetStatistics) -> list[str]:
    """Return what is worth a look in the files, which no value of a recipe changes."""
    return [*_unreadable(statistics), *_copies(statistics), *_small_classes(statistics)]


def _unreadable(statistics: DatasetStatistics) -> Iterator[str]:
    files = statistics.unreadable
    if files:
        named = _few([f"{file.name} ({file.reason})" for file in files])
        total = statistics.images + len(files)
        yield (
            f"{len(files):,} of {total:,} image files cannot be decoded: {named}. Repair or remove "
            f"{'it' if len(files) == 1 else 'them'}."
        )


def _copies(statistics: DatasetStatistics) -> Iterator[str]:
    facts = [copies for copies in statistics.copies if copies.kind != "looks the same"]
    guesses = [copies for copies in statistics.copies if copies.kind == "looks the same"]
    groups: tuple[tuple[Sequence[Copies], Callable[[Copies], bool], str], ...] = (
        (
            facts,
            lambda copies: copies.is_leak,
            "in more than one split, which makes the metrics too good: {}. Keep one copy of each.",
        ),
        (
            facts,
            lambda copies: copies.has_label_conflict,
            "labeled in more than one way: {}. Keep the copies with the correct label.",
        ),
        (
            facts,
            lambda copies: not copies.is_leak and not copies.has_label_conflict,
            "repeated in a class: {}. One copy of each is enough.",
        ),
    )
    for found, is_meant, sentence in groups:
        meant = [copies for copies in found if is_meant(copies)]
        if meant:
            are = "picture is" if len(meant) == 1 else "pictures are"
            yield f"{len(meant):,} {are} {sentence.format(_few(list(map(_names, meant))))}"
    likely = [copies for copies in guesses if copies.is_leak]
    if likely:
        yield (
            f"{len(likely):,} picture{'s' if len(likely) > 1 else ''} may be in more than one "
            f"split, by a comparison of thumbnails: {_few(list(map(_names, likely)))}. Look at "
            f"{'them' if len(likely) > 1 else 'it'}."
        )


def _imbalance(statistics: DatasetStatistics) -> Iterator[str]:
    names = statistics.class_names
    ratio = statistics.imbalance
    if ratio and ratio >= NOTABLE_IMBALANCE:
        training = statistics.training_counts
        rarest, most = (names[training.index(select(training))] for select in (min, max))
        yield (
            f"{most} has {ratio:.1f} times as many training images as {rarest}. Set "
            "training.class_weight: balanced, and judge the model by its balanced accuracy."
        )


def _small_classes(statistics: DatasetStatistics) -> Iterator[str]:
    counts, names = statistics.class_counts, statistics.class_names
    few = [
        f"{name} ({count})"
        for name, count in zip(names, counts, strict=True)
        if count < _FEW_IMAGES
    ]
    unit = "images" if statistics.features is None else "examples"
    if few and statistics.images:
        have = "has" if len(few) == 1 else "have"
        yield (
            f"{len(few):,} of {len(names):,} classes {have} fewer than {_FEW_IMAGES} {unit}: "
            f"{_few(few)}. Add {unit}, or expect uncertain metrics."
        )


def _groups(statistics: DatasetStatistics) -> Iterator[str]:
    guess = statistics.groups
    if guess and "val" not in statistics.given:
        sure = "names" if guess.is_certain else "numbers"
        yield (
            f"The {sure} of the files may stand for {guess.groups:,} groups, such as "
            f"{guess.example}. If they are of the same patient, object or video, set "
            f"data.group_by: {{{guess.key}: {guess.value}}}, so that each is in one split."
        )


def _names(copies: Copies) -> str:
    """Return a few of the images, first one of each split and class, which are what differs."""
    seen: dict[tuple[str, str], str] = {}
    for place, name in zip(
        zip(copies.splits, copies.classes, strict=True), copies.names, strict=True
    ):
        seen.setdefault(place, name)
    names = list(dict.fromkeys((*seen.values(), *copies.names)))
    return f"{' = '.join(names[:_MAX_COPIES])}{' = …' if len(names) > _MAX_COPIES else ''}"


def _few(texts: Sequence[str]) -> str:
    shown = ", ".join(texts[:_MAX_NAMED])
    more = len(texts) - _MAX_NAMED
    return f"{shown} and {more:,} more" if more > 0 else shown
