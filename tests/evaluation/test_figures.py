"""Figures: what is drawn, not how."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from pipeline.evaluation import figures
from pipeline.evaluation.figures import Curves
from pipeline.evaluation.predictions import Predictions

ROWS = [
    {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.2, "val_accuracy": 0.4},
    {"loss": 0.6, "accuracy": 0.7, "val_loss": 0.9, "val_accuracy": 0.6},
    {"loss": 0.3, "accuracy": 0.9, "val_loss": 1.0, "val_accuracy": 0.5},
]


def test_curves_show_every_epoch_and_mark_the_chosen_one() -> None:
    figure = figures.learning_curves(Curves(ROWS, best_epoch=2, fine_tuned_from=None))
    loss, accuracy = figure.axes
    assert list(loss.lines[0].get_ydata()) == [1.0, 0.6, 0.3]
    assert list(accuracy.lines[1].get_ydata()) == [0.4, 0.6, 0.5]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == [
        "training",
        "validation",
        "chosen: 2",
    ]


def test_the_confusion_matrix_has_its_counts_and_names_written_in() -> None:
    figure = figures.confusion(np.array([[7, 0], [2, 5]]), ("ants", "bees"), title="validation")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["7", "·", "2", "5"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ants", "bees"]


def predictions(classes: int, count: int = 200) -> Predictions:
    generator = np.random.default_rng(0)
    labels = np.arange(count) % classes
    scores = generator.normal(size=(count, classes))
    scores[np.arange(count), labels] += np.linspace(1, 3, classes)[labels]
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    names = [f"class {number}" for number in range(classes)]
    return Predictions(names, [""] * count, [""] * count, labels, shares)


def test_two_classes_have_one_curve_and_its_areas_are_the_metrics() -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    given = predictions(2)
    _, roc, precision_recall = figures.quality(given).axes
    legends = [axes.get_legend().get_texts() for axes in (roc, precision_recall)]
    area = roc_auc_score(given.labels, given.probabilities[:, 1])
    average = average_precision_score(given.labels, given.probabilities[:, 1])
    assert [[text.get_text() for text in texts] for texts in legends] == [
        [f"class 1 {area:.3f}"],
        [f"class 1 {average:.3f}"],
    ]


def test_of_many_classes_those_recognized_least_have_curves() -> None:
    _, roc, _ = figures.quality(predictions(10, 2000)).axes
    shown = [text.get_text().rpartition(" ")[0] for text in roc.get_legend().get_texts()]
    assert shown == [f"class {number}" for number in range(6)]


def test_the_reliability_diagram_has_the_accuracy_of_each_bin_at_its_confidence() -> None:
    given = predictions(3)
    reliability, *_ = figures.quality(given).axes
    line = next(line for line in reliability.lines if line.get_label() == "accuracy")
    sure = (given.confidence > 14 / 15) & (given.confidence <= 1)
    assert line.get_xdata()[-1] == pytest.approx(given.confidence[sure].mean())
    assert line.get_ydata()[-1] == pytest.approx(given.right[sure].mean())


def test_a_figure_becomes_a_picture_on_white() -> None:
    figure = figures.learning_curves(Curves(ROWS, best_epoch=2, fine_tuned_from=1))
    with Image.open(io.BytesIO(figures.png(figure))) as picture:
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
        assert len(set(picture.convert("L").tobytes())) > 50


def test_on_a_page_a_figure_takes_the_color_and_the_width_of_the_page() -> None:
    svg = figures.svg(figures.learning_curves(Curves(ROWS, best_epoch=2, fine_tuned_from=1)))
    assert svg.startswith("<svg ")
    assert 'fill: currentColor">loss</text>' in svg or "fill: currentColor" in svg
    head = svg.partition(">")[0]
    assert " width=" not in head
    assert "viewBox=" in head
    assert "http" not in svg


def test_classes_may_be_called_anything() -> None:
    names = ("$\\frac{1}$", "</svg><script>", "蟻", "caf\udce9")
    matrix = np.eye(4, dtype=int)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = figures.confusion(matrix, names, title="validation")
        figures.png(figure)
        svg = figures.svg(figure)
    assert "<script" not in svg
    assert "蟻" in svg
