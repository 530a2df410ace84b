"""Charts: the data, labels and titles that are drawn."""

from __future__ import annotations

import io
import warnings
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score

from pipeline.evaluation import figures
from pipeline.evaluation.figures import LearningCurves
from pipeline.evaluation.metrics import expected_calibration_error
from pipeline.evaluation.predictions import Predictions

EPOCHS = [
    {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.2, "val_accuracy": 0.4},
    {"loss": 0.6, "accuracy": 0.7, "val_loss": 0.9, "val_accuracy": 0.6},
    {"loss": 0.3, "accuracy": 0.9, "val_loss": 1.0, "val_accuracy": 0.5},
]
CURVES = LearningCurves(EPOCHS, "accuracy", best_epoch=2, frozen_epochs=1)


def panels(figure: Figure) -> list[Any]:
    return list(figure.axes)


def legend(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_learning_curves_show_every_epoch_and_mark_the_best_one() -> None:
    figure = figures.plot_learning_curves(
        LearningCurves(EPOCHS, "accuracy", best_epoch=2, frozen_epochs=None)
    )
    assert [axes.get_title() for axes in panels(figure)] == ["loss", "accuracy"]
    for axes, name in zip(panels(figure), ("loss", "accuracy"), strict=True):
        training, validation, best = axes.lines
        assert list(training.get_xdata()) == list(validation.get_xdata()) == [1, 2, 3]
        assert list(training.get_ydata()) == [epoch[name] for epoch in EPOCHS]
        assert list(validation.get_ydata()) == [epoch[f"val_{name}"] for epoch in EPOCHS]
        assert list(best.get_xdata()) == [2, 2]
        assert legend(axes) == ["training", "validation", "best epoch: 2"]


def test_learning_curves_without_validation_are_those_of_training() -> None:
    epochs = [{"loss": epoch["loss"], "accuracy": epoch["accuracy"]} for epoch in EPOCHS]
    curves = LearningCurves(epochs, "accuracy", best_epoch=None, frozen_epochs=None)
    for axes in panels(figures.plot_learning_curves(curves)):
        assert len(axes.lines) == 1
        assert legend(axes) == ["training"]


def test_learning_curves_shade_the_epochs_of_fine_tuning() -> None:
    for axes in panels(figures.plot_learning_curves(CURVES)):
        (shaded,) = axes.patches
        assert (shaded.get_x(), shaded.get_x() + shaded.get_width()) == (1.5, 3.5)
        assert legend(axes)[-1] == "fine-tuning"


def test_a_confusion_matrix_has_shares_as_colors_and_counts_as_text() -> None:
    labels, predicted = np.repeat([0, 1], [7, 8]), np.repeat([0, 1], [9, 6])
    counted = Predictions(("ants", "bees"), [""] * 15, [""] * 15, labels, np.eye(2)[predicted])
    (axes,) = panels(figures.plot_confusion_matrix(counted, title="validation"))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert axes.get_title() == "validation: accuracy 0.8667 (n = 15)"
    np.testing.assert_allclose(axes.collections[0].get_array(), [[1.0, 0.0], [0.25, 0.75]])
    assert axes.get_ylim() == (1.5, -0.5)
    assert [text.get_text() for text in axes.texts] == ["7", "2", "6"]
    assert axes.lines[0].get_xydata().tolist() == [[1, 0]]  # a dot for no image
    assert [label.get_text() for label in axes.get_xticklabels()] == ["ants", "bees"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ants", "bees"]


def predictions(classes: int, count: int = 200) -> Predictions:
    """Return predictions whose recall increases with the class."""
    generator = np.random.default_rng(0)
    labels = np.arange(count) % classes
    logits = generator.normal(size=(count, classes))
    logits[np.arange(count), labels] += np.linspace(1, 3, classes)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    names = [f"class {label}" for label in range(classes)]
    return Predictions(names, [""] * count, [""] * count, labels, probabilities)


def test_the_confusion_matrix_of_many_classes_is_that_of_the_most_confused() -> None:
    labels = np.repeat(np.arange(200), 3)
    predicted = labels.copy()
    predicted[labels >= 190] = 7
    names = [f"class {label}" for label in range(200)]
    many = Predictions(names, [""] * 600, [""] * 600, labels, np.eye(200)[predicted])
    (axes,) = panels(figures.plot_confusion_matrix(many, title="validation"))
    assert axes.get_title() == (
        "validation: accuracy 0.9500 (n = 600)\nthe 11 most frequently confused of 200 classes"
    )
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert shown == ["class 7", *(f"class {label}" for label in range(190, 200))]


def test_two_classes_have_one_curve_with_the_area_in_the_legend() -> None:
    two = predictions(2)
    scores = two.outputs[:, 1]
    _, roc, precision_recall = panels(figures.plot_calibration_roc_pr(two))
    assert roc.get_title() == "ROC curve (AUC)"
    assert (roc.get_xlabel(), roc.get_ylabel()) == ("false positive rate", "true positive rate")
    assert legend(roc) == [f"class 1 {roc_auc_score(two.labels, scores):.3f}"]
    curve = roc.lines[0]
    area = np.trapezoid(curve.get_ydata(), curve.get_xdata())
    assert area == pytest.approx(roc_auc_score(two.labels, scores))
    assert precision_recall.get_title() == "Precision-recall curve (AP)"
    assert (precision_recall.get_xlabel(), precision_recall.get_ylabel()) == ("recall", "precision")
    average = average_precision_score(two.labels, scores)
    assert legend(precision_recall) == [f"class 1 {average:.3f}"]


def test_of_many_classes_the_six_with_the_lowest_recall_have_curves() -> None:
    _, roc, precision_recall = panels(figures.plot_calibration_roc_pr(predictions(10, 2000)))
    for axes in (roc, precision_recall):
        shown = [name.rpartition(" ")[0] for name in legend(axes)]
        assert shown == [f"class {label}" for label in range(6)]


def test_the_reliability_diagram_shows_accuracy_against_confidence() -> None:
    three = predictions(3)
    reliability, *_ = panels(figures.plot_calibration_roc_pr(three))
    ece = expected_calibration_error(three.labels, three.outputs)
    assert reliability.get_title() == f"Reliability diagram (ECE {ece:.3f})"
    assert (reliability.get_xlabel(), reliability.get_ylabel()) == ("confidence", "accuracy")
    line = next(line for line in reliability.lines if line.get_label() == "accuracy")
    last_bin = three.confidence > 14 / 15
    assert line.get_xdata()[-1] == pytest.approx(three.confidence[last_bin].mean())
    assert line.get_ydata()[-1] == pytest.approx(three.is_correct[last_bin].mean())
    heights = [bar.get_height() for bar in reliability.patches]
    assert sum(heights) == pytest.approx(1)
    assert heights[-1] == pytest.approx(last_bin.mean())


def test_a_png_has_the_figure_on_white() -> None:
    figure = figures.plot_learning_curves(CURVES)
    with Image.open(io.BytesIO(figures.png(figure))) as picture:
        width, height = (round(inches * 120) for inches in figure.get_size_inches())
        assert picture.size == (width, height)
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    for color in ((0x3B, 0x82, 0xC4), (0xE0, 0x60, 0x7A)):  # the two curves
        assert (pixels == color).all(axis=-1).any()


def test_an_svg_adopts_the_text_color_and_the_width_of_the_page() -> None:
    svg = figures.svg(figures.plot_learning_curves(CURVES))
    assert figures.INK not in svg
    root = ElementTree.fromstring(svg.replace("xlink:href", "href"))
    assert set(root.attrib) >= {"viewBox", "style"}
    assert not {"width", "height"} & set(root.attrib)
    texts = {text.text: text.attrib["style"] for text in root.iter("text")}
    assert {"loss", "accuracy", "epoch", "best epoch: 2"} <= set(texts)
    assert all("currentColor" in style for style in texts.values())
    assert "http" not in svg


def test_class_names_may_contain_anything() -> None:
    names = ("$\\frac{1}$", "</svg><script>", "蟻", "caf\udce9")
    four = Predictions(names, names, names, np.arange(4), np.eye(4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = figures.plot_confusion_matrix(four, title="validation")
        figures.png(figure)
        svg = figures.svg(figure)
    assert "<script" not in svg
    assert "蟻" in svg
