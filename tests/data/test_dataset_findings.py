"""What is worth a look in a data set."""

from __future__ import annotations

from pipeline.data.dataset_findings import describe_file_findings, describe_findings
from pipeline.data.dataset_statistics import Copies, DatasetStatistics, GroupGuess
from pipeline.data.splits import UnreadableFile

COUNTS = {"train": (40, 30), "val": (10, 12)}
NAMES = ("ants", "bees")


def test_nothing_is_found_in_good_data() -> None:
    assert describe_findings(DatasetStatistics(NAMES, COUNTS, given=("train", "val"))) == []


def test_problems_come_first() -> None:
    statistics = DatasetStatistics(NAMES, {"train": (5, 50)}, problems=("data.path: no classes.",))
    assert describe_findings(statistics)[0] == "data.path: no classes."


def test_unreadable_files_are_named() -> None:
    files = tuple(UnreadableFile(f"{number}.jpg", "truncated") for number in range(4))
    assert describe_findings(DatasetStatistics(NAMES, COUNTS, unreadable=files)) == [
        "4 of 96 image files cannot be decoded: 0.jpg (truncated), 1.jpg (truncated), 2.jpg "
        "(truncated) and 1 more. Repair or remove them."
    ]


def test_copies_are_facts_or_guesses() -> None:
    one_class = ("ants", "ants")
    copies = (
        Copies("same file", ("a", "b"), ("train", "val"), one_class),
        Copies("same pixels", ("c", "d"), ("train", "train"), NAMES),
        Copies("same file", ("e", "f"), ("train", "train"), one_class),
        Copies("looks the same", ("g", "h"), ("train", "val"), one_class),
        Copies("looks the same", ("i", "j"), ("train", "train"), one_class),
    )
    assert describe_findings(DatasetStatistics(NAMES, COUNTS, copies=copies)) == [
        "1 picture is in more than one split, which makes the metrics too good: a = b. Keep one "
        "copy of each.",
        "1 picture is labeled in more than one way: c = d. Keep the copies with the correct label.",
        "1 picture is repeated in a class: e = f. One copy of each is enough.",
        "1 picture may be in more than one split, by a comparison of thumbnails: g = h. "
        "Look at it.",
    ]


def test_the_copies_that_differ_are_named_first() -> None:
    names = tuple(f"{class_name}/{number}" for class_name in NAMES for number in range(6))
    classes = tuple(name.split("/")[0] for name in names)
    copies = Copies("same file", names, ("train",) * 12, classes)
    assert describe_findings(DatasetStatistics(NAMES, COUNTS, copies=(copies,))) == [
        "1 picture is labeled in more than one way: ants/0 = bees/0 = ants/1 = ants/2 = …. Keep "
        "the copies with the correct label."
    ]


def test_small_and_rare_classes_are_named() -> None:
    assert describe_findings(DatasetStatistics(NAMES, {"train": (70, 7)})) == [
        "1 of 2 classes has fewer than 10 images: bees (7). Add images, or expect uncertain "
        "metrics.",
        "ants has 10.0 times as many training images as bees. Set training.class_weight: "
        "balanced, and judge the model by its balanced accuracy.",
    ]


def test_the_files_are_worth_a_look_whatever_the_recipe_says() -> None:
    guess = GroupGuess("level", 1, 30, "patient01", is_certain=True)
    statistics = DatasetStatistics(NAMES, {"train": (70, 20)}, groups=guess)
    assert len(describe_findings(statistics)) == 2
    assert describe_file_findings(statistics) == []


def test_groups_matter_where_the_split_is_drawn() -> None:
    guess = GroupGuess("level", 1, 30, "patient01", is_certain=True)
    assert describe_findings(DatasetStatistics(NAMES, COUNTS, groups=guess)) == [
        "The names of the files may stand for 30 groups, such as patient01. If they are of the "
        "same patient, object or video, set data.group_by: {level: 1}, so that each is in one "
        "split."
    ]
    given = DatasetStatistics(NAMES, COUNTS, given=("train", "val"), groups=guess)
    assert describe_findings(given) == []
