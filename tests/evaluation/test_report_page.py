"""The report page: its content, and that it contains no script and makes no request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from pipeline.evaluation.captioned_images import CaptionedImage
from pipeline.evaluation.figures import LearningCurves
from pipeline.evaluation.metrics import classification_metrics
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.report_page import (
    DuplicateGroup,
    ImageSheet,
    Report,
    SplitReport,
    render_report,
)
from pipeline.stages.run_report import report_terms
from pipeline.tasks.classification import split_content
from pipeline.tasks.tasks import TASKS

HOSTILE = '<script>alert("1")</script>'
NAMES = (f"ants {HOSTILE}", "bees ' onload=x", "$été\udce9$")
IMAGE = CaptionedImage(np.zeros((8, 8, 1), np.uint8), f"{HOSTILE}.jpg", HOSTILE, np.ones((8, 8)))
SHEETS = [ImageSheet(name, name, [IMAGE]) for name in ("worst_errors", "least_certain")]
TERMS = report_terms(TASKS["classification"], is_imbalanced=False)
NO_VIEW: Any = None  # what classes show does not depend on it


class Page(HTMLParser):
    """The elements of a page, with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def split_report(
    predictions: Predictions, metrics: dict[str, float], sheets: Sequence[ImageSheet] = ()
) -> SplitReport:
    content = split_content(predictions, title="Validation", view=NO_VIEW)
    return SplitReport("val", "Validation", "", len(predictions), metrics, content, sheets)


@pytest.fixture(scope="module")
def report() -> Report:
    labels = np.arange(30) % 3
    probabilities = np.random.default_rng(0).dirichlet([1, 1, 1], 30) * 0.5
    probabilities[np.arange(30), labels] += 0.5
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    names = [f"{HOSTILE}{number}" for number in range(30)]
    predictions = Predictions(NAMES, names, names, labels, probabilities)
    metrics = classification_metrics(labels, probabilities)
    row = {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.2, "val_accuracy": 0.4}
    return Report(
        title=HOSTILE,
        description=HOSTILE,
        class_names=NAMES,
        terms=TERMS,
        details={"run": HOSTILE},
        splits=[split_report(predictions, metrics, SHEETS)],
        curves=LearningCurves([row, row], "accuracy", best_epoch=1, frozen_epochs=None),
        augmented=[IMAGE],
        counts={"train": [3, 2, 1], "val": [10, 10, 10]},
        quarantined=[(HOSTILE, HOSTILE)],
        ignored={HOSTILE: 40, "": 2},
        duplicates=[DuplicateGroup([IMAGE, IMAGE], is_leak=True)],
        label_errors=[IMAGE],
        recipe=f"name: {HOSTILE}",
        environment={"python": HOSTILE},
        seconds={"train": 2.0},
    )


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    return Page(render_report(report).html)


def test_no_name_becomes_part_of_the_page(page: Page) -> None:
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "iframe", "object", "embed", "link", "form"}
    attributes = {name for _, found in page.elements for name in found}
    assert not {name for name in attributes if name.startswith("on")}
    assert page.text.count(HOSTILE) > 10


def test_nothing_is_fetched_from_anywhere(page: Page) -> None:
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            address = attributes.get(name)
            own = ("data:image/", "#", "class_metrics/", "predictions/")  # links to artifacts
            assert address is None or address.startswith(own), (tag, name)
            assert name == "href" or not (address or "").startswith(own[2:])
    style = page.text.partition("</style>")[0]
    assert "@import" not in style
    assert "url(http" not in style
    policy = next(a["content"] for _, a in page.elements if "http-equiv" in a)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_it_has_a_dark_mode_and_fits_phones(page: Page) -> None:
    assert "@media (prefers-color-scheme: dark)" in page.text
    names = {a.get("name"): a.get("content") for tag, a in page.elements if tag == "meta"}
    assert names["viewport"] == "width=device-width, initial-scale=1"


def test_it_has_a_section_for_all_content(page: Page) -> None:
    sections = {a["id"] for tag, a in page.elements if tag in ("h2", "h3") and "id" in a}
    assert sections == {
        "training",
        "val",
        "augmented",
        "data",
        "duplicates",
        "labels",
        "recipe",
        "environment",
    }
    assert "The model has the weights of epoch 1 of 2." in page.text
    assert "Duplicates across splits inflate the metrics." in page.text


def test_missing_content_has_no_section(report: Report) -> None:
    known = Report(title="ants", class_names=NAMES, splits=report.splits, terms=TERMS)
    page = Page(render_report(known).html)
    assert {a["id"] for tag, a in page.elements if tag == "h2"} == {"val"}


def test_a_heatmap_is_shown_beside_its_image(report: Report) -> None:
    def images(with_heatmap: bool) -> int:
        image = IMAGE if with_heatmap else replace(IMAGE, heatmap=None)
        split = replace(report.splits[0], sheets=[ImageSheet("worst_errors", "", [image])])
        page = Page(render_report(Report("ants", NAMES, [split], TERMS)).html)
        assert ("Grad-CAM" in page.text) == with_heatmap
        return sum(tag == "img" for tag, _ in page.elements)

    assert images(with_heatmap=True) == images(with_heatmap=False) + 1 == 2


def test_the_table_of_classes_agrees_with_the_metrics(report: Report, page: Page) -> None:
    for row in report.splits[0].content.values["rows"]:
        assert f"{row['recall']:.3f}" in page.text
    accuracy = report.splits[0].metrics["accuracy"]
    assert f"{accuracy:.4f}" in page.text


def test_the_confusion_matrix_of_many_classes_is_an_image() -> None:
    names = [f"class {number}" for number in range(25)]
    labels, probabilities = np.arange(25), np.eye(25) * 0.9 + 0.1 / 25
    probabilities[3] = probabilities[4]
    predictions = Predictions(
        names, names, names, labels, probabilities / probabilities.sum(axis=1, keepdims=True)
    )
    metrics = classification_metrics(labels, predictions.outputs)
    split = split_report(predictions, metrics)
    page = Page(render_report(Report("many", names, [split], TERMS)).html)
    assert [a["alt"] for tag, a in page.elements if tag == "img"] == ["confusion matrix"]
    assert "Most frequent confusions" in page.text


def test_of_many_classes_the_tables_list_the_worst_and_the_rarest() -> None:
    names = [f"class {number}." for number in range(1000)]
    labels = np.repeat(np.arange(1000), 2)
    predicted = labels.copy()
    predicted[20:30] = 999  # classes 10 to 14
    probabilities = np.full((2000, 1000), 1e-4)
    probabilities[np.arange(2000), predicted] = 1 - 999e-4
    image_names = [""] * 2000
    predictions = Predictions(names, image_names, image_names, labels, probabilities)
    metrics = classification_metrics(labels, probabilities)
    split = split_report(predictions, metrics)
    counts = {"train": [9] * 500 + [3] + [9] * 499}
    text = Page(render_report(Report("many", names, [split], TERMS, counts=counts)).html).text
    assert "The 100 classes with the lowest recall, of 1,000." in text
    assert "The 100 classes with the fewest images, of 1,000." in text
    by_class = text.partition("Metrics by class")[2]
    assert by_class.index("class 14.") < by_class.index("Calibration, ROC")
    rare = text.partition("Images per class")[2]
    assert rare.index("class 500.") < rare.index("class 0.")
    assert len(text) < 60_000


def test_the_figures_of_the_page_are_files_too(report: Report) -> None:
    images = render_report(report).images
    assert sorted(images) == [
        "augmented",
        "learning_curves",
        "val_calibration_roc_pr",
        "val_confusion_matrix",
        "val_least_certain",
        "val_worst_errors",
    ]
    assert all(png.startswith(b"\x89PNG") for png in images.values())


def test_the_head_shows_balanced_accuracy_where_classes_are_imbalanced(report: Report) -> None:
    head = "Validation balanced accuracy"
    assert head not in Page(render_report(report).html).text
    terms = report_terms(TASKS["classification"], is_imbalanced=True)
    text = Page(render_report(replace(report, terms=terms)).html).text
    metrics = report.splits[0].metrics
    assert f"{head}{metrics['balanced_accuracy']:.4f}" in text
    assert text.index("Validation accuracy") < text.index(head) < text.index("Intervals on")
