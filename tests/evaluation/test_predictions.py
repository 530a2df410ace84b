"""Predictions: stored without loss, and paired by image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline.errors import DataError
from pipeline.evaluation import predictions
from pipeline.evaluation.predictions import Predictions
from pipeline.tasks.classification import compare

NAMES = ["train/ants/a,b.jpg", 'train/"bees"\n/é.jpg', "caf\udce9.jpg"]
WRITTEN = [*NAMES[:2], "caf\\udce9.jpg"]  # as UTF-8 can hold them


def predict(bees: list[float], labels: list[int], order: list[int] | None = None) -> Predictions:
    """Return predictions of images 0, 1, 2… in some order, each with a probability of bees."""
    order = order if order is not None else list(range(len(bees)))
    probability = np.array(bees)[order]
    return Predictions(
        class_names=("ants", "bees"),
        names=[f"{number}.jpg" for number in order],
        digests=[f"{number:064x}" for number in order],
        labels=np.array(labels)[order],
        outputs=np.stack([1 - probability, probability], axis=1),
    )


def test_predictions_survive_writing_and_reading_whatever_the_file_names(tmp_path: Path) -> None:
    probabilities = np.array([[0.1, 0.2, 0.7], [1 / 3, 1 / 3, 1 / 3], [1e-9, 0.5, 0.5]], np.float32)
    stored = Predictions(
        class_names=("ants", "bees, wild", "été"),
        names=NAMES,
        digests=["aa", "bb", "cc"],
        labels=np.array([2, 0, 1]),
        outputs=probabilities.astype(np.float64),
    )
    predictions.write_predictions(stored, tmp_path / "val.parquet")
    read = predictions.read_predictions(tmp_path / "val.parquet")
    assert (read.class_names, read.names, read.digests) == (
        stored.class_names,
        WRITTEN,
        stored.digests,
    )
    np.testing.assert_array_equal(read.labels, stored.labels)
    np.testing.assert_array_equal(read.outputs.astype(np.float32), probabilities)


def test_sets_of_labels_survive_writing_and_reading(tmp_path: Path) -> None:
    labels = np.array([[True, False], [True, True], [False, False]])
    probabilities = np.array([[0.9, 0.4], [0.2, 0.1], [0.3, 0.6]])
    thresholds = np.array([0.25, 0.5])
    stored = Predictions(("sea", "sun"), NAMES, ["a", "b", "c"], labels, probabilities, thresholds)
    path = tmp_path / "val.parquet"
    predictions.write_predictions(stored, path)
    rows = parquet.read_table(path).to_pylist()
    assert [row["class"] for row in rows] == [["sea"], ["sea", "sun"], []]
    assert [row["predicted"] for row in rows] == [["sea"], [], ["sea", "sun"]]
    read = predictions.read_predictions(path)
    np.testing.assert_array_equal(read.labels, labels)
    np.testing.assert_array_equal(read.predicted, stored.predicted)
    assert read.is_correct.tolist() == [True, False, False]


def test_a_row_has_the_true_and_the_predicted_class(tmp_path: Path) -> None:
    path = tmp_path / "val.parquet"
    predictions.write_predictions(predict([0.75, 0.25], [0, 0]), path)
    assert parquet.read_table(path).to_pylist()[0] == {
        "name": "0.jpg",
        "digest": "0" * 64,
        "class": "ants",
        "predicted": "bees",
        "probabilities": [0.25, 0.75],
    }


def test_of_many_classes_the_highest_probabilities_and_the_true_class_are_stored(
    tmp_path: Path,
) -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(2000), 30)
    labels = probabilities.argmin(axis=1)
    names = [f"{number}" for number in range(2000)]
    written = Predictions(names, names[:30], names[:30], labels, probabilities)
    predictions.write_predictions(written, tmp_path / "val.parquet")
    read = predictions.read_predictions(tmp_path / "val.parquet")
    assert set(np.count_nonzero(read.outputs, axis=1)) == {101}
    np.testing.assert_array_equal(read.predicted, written.predicted)
    rows = np.arange(30)
    np.testing.assert_allclose(read.outputs[rows, labels], probabilities[rows, labels], rtol=1e-6)
    assert (tmp_path / "val.parquet").stat().st_size < 100_000  # 240,000 if all were stored


@pytest.mark.parametrize("content", ["text", "another table"])
def test_another_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "val.parquet"
    if content == "text":
        path.write_text("epoch,loss\n1,0.5\n")
    else:
        parquet.write_table(pa.table({"epoch": [1]}), path)
    with pytest.raises(DataError, match="is not a predictions file: "):
        predictions.read_predictions(path)


def test_images_are_paired_whatever_their_order() -> None:
    labels = [0, 1] * 20
    good = [0.1 if label == 0 else 0.9 for label in labels]
    bad = [0.9] * 40
    difference = predictions.paired_difference(
        predict(bad, labels), predict(good, labels, list(range(39, -1, -1))), compare
    )
    assert difference.images == 40
    accuracy, log_loss = difference.metrics["accuracy"], difference.metrics["log_loss"]
    assert difference.decisive is accuracy
    assert accuracy.value == pytest.approx(0.5)
    assert 0.3 < accuracy.low < accuracy.high < 0.7
    assert log_loss.value == pytest.approx(0.5 * np.log(0.1 / 0.9))
    assert log_loss.high < 0


@pytest.mark.parametrize("change", ["image", "class"])
def test_other_images_are_not_paired(change: str) -> None:
    first = predict([0.1, 0.9, 0.9], [0, 1, 1])
    if change == "class":
        second = predict([0.1, 0.9, 0.9], [0, 1, 0])
    else:
        second = predict([0.1, 0.9, 0.9, 0.9], [0, 1, 1, 1], [0, 1, 3])
    with pytest.raises(DataError) as caught:
        predictions.paired_difference(first, second, compare)
    assert str(caught.value) == (
        "The models were not evaluated on the same examples with the same classes. Examples of the "
        "first model only: 1 of 3. Images of the second model only: 1 of 3. Example: 2.jpg. "
        "Evaluate both models on the same examples."
    )


def test_rows_of_the_confusion_matrix_are_the_true_classes() -> None:
    predicted = predict([0.6, 0.2, 0.9, 0.2, 0.7], [0, 0, 1, 1, 1])
    assert predictions.confusion_matrix(predicted, [0, 1]).tolist() == [[1, 1], [1, 2]]
    assert predictions.confusion_matrix(predicted, [1]).tolist() == [[2]]


def test_the_most_frequent_confusions_come_first() -> None:
    labels, predicted = np.array([0, 0, 0, 1, 2, 2]), np.array([1, 1, 0, 2, 1, 2])
    names = ["a", "b", "c"]
    three = Predictions(names, [""] * 6, [""] * 6, labels, np.eye(3)[predicted])
    assert predictions.most_confused(three, 2) == [(0, 1, 2), (1, 2, 1)]


def test_the_worst_errors_have_the_lowest_probability_of_the_true_class() -> None:
    indices = predictions.worst_errors(
        predict([0.6, 0.05, 0.9, 0.2, 0.7], [0, 1, 0, 0, 1]), max_images=2
    )
    assert indices.tolist() == [1, 2]


def test_the_least_certain_images_have_the_smallest_margins() -> None:
    all_images = predict([0.6, 0.45, 0.9, 0.2], [0, 0, 1, 1])
    indices = predictions.least_certain(all_images, max_images=2, exclude=np.array([0]))
    assert indices.tolist() == [1, 3]
