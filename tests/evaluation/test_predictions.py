"""Predictions: kept in full, and paired by what the images are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.evaluation import predictions
from pipeline.evaluation.predictions import Predictions

NAMES = ["train/ants/a,b.jpg", 'train/"bees"\n/é.jpg', "caf\udce9.jpg"]


def given(bees: list[float], labels: list[int], order: list[int] | None = None) -> Predictions:
    """Return predictions of images 0, 1, 2… in some order, each with a probability of bees."""
    order = order if order is not None else list(range(len(bees)))
    share = np.array(bees)[order]
    return Predictions(
        class_names=("ants", "bees"),
        names=[f"{number}.jpg" for number in order],
        digests=[f"{number:064x}" for number in order],
        labels=np.array(labels)[order],
        probabilities=np.stack([1 - share, share], axis=1),
    )


def test_what_is_written_is_read_again_whatever_the_files_are_called(tmp_path: Path) -> None:
    shares = np.float32([[0.1, 0.2, 0.7], [1 / 3, 1 / 3, 1 / 3], [1e-9, 0.5, 0.5]])
    written = Predictions(
        class_names=("ants", "bees, wild", "été"),
        names=NAMES,
        digests=["aa", "bb", "cc"],
        labels=np.array([2, 0, 1]),
        probabilities=shares.astype(np.float64),
    )
    predictions.write_predictions(written, tmp_path / "val.csv")
    read = predictions.read_predictions(tmp_path / "val.csv")
    assert (read.class_names, read.names, read.digests) == (
        written.class_names,
        written.names,
        written.digests,
    )
    np.testing.assert_array_equal(read.labels, written.labels)
    np.testing.assert_array_equal(read.probabilities.astype(np.float32), shares)


def test_a_row_says_what_an_image_is_and_what_it_was_taken_for(tmp_path: Path) -> None:
    predictions.write_predictions(given([0.75, 0.25], [0, 0]), tmp_path / "val.csv")
    header, first, _ = (tmp_path / "val.csv").read_text().splitlines()
    assert header == "name,digest,class,predicted,probability/ants,probability/bees"
    assert first == f"0.jpg,{'0' * 64},ants,bees,0.25,0.75"


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "val.csv"
    path.write_text("epoch,loss\n1,0.5\n")
    with pytest.raises(DataError) as caught:
        predictions.read_predictions(path)
    assert str(caught.value) == f"{path} does not hold predictions: its columns are epoch, loss."


def test_images_are_paired_whatever_their_order() -> None:
    labels = [0, 1] * 20
    good = [0.1 if label == 0 else 0.9 for label in labels]
    bad = [0.9] * 40
    found = predictions.difference(given(bad, labels), given(good, labels, list(range(39, -1, -1))))
    assert found.images == 40
    assert found.accuracy.value == pytest.approx(0.5)
    assert 0.3 < found.accuracy.low < found.accuracy.high < 0.7
    assert found.log_loss.value == pytest.approx(0.5 * np.log(0.1 / 0.9))
    assert found.log_loss.high < 0


@pytest.mark.parametrize("change", ["image", "class"])
def test_other_images_are_not_paired(change: str) -> None:
    first = given([0.1, 0.9, 0.9], [0, 1, 1])
    if change == "class":
        second = given([0.1, 0.9, 0.9], [0, 1, 0])
    else:
        second = given([0.1, 0.9, 0.9, 0.9], [0, 1, 1, 1], [0, 1, 3])
    with pytest.raises(DataError) as caught:
        predictions.difference(first, second)
    assert str(caught.value) == (
        "The two are not of the same images with the same classes: 1 of the 3 of the first are not "
        "among the 3 of the second, and 1 of those not among the first, such as 2.jpg. Figures "
        "of other images cannot be paired."
    )


def test_the_worst_mistakes_are_those_whose_own_class_was_given_least() -> None:
    found = predictions.worst_mistakes(given([0.6, 0.05, 0.9, 0.2, 0.7], [0, 1, 0, 0, 1]), most=2)
    assert found.tolist() == [1, 2]


def test_the_least_certain_have_their_two_classes_closest() -> None:
    all_of = given([0.6, 0.45, 0.9, 0.2], [0, 0, 1, 1])
    found = predictions.least_certain(all_of, most=2, besides=np.array([0]))
    assert found.tolist() == [1, 3]
