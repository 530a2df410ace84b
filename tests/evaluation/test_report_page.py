"""The page: what it shows, that it needs nothing from elsewhere, and that nothing in it runs."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from pipeline.evaluation.figures import Curves
from pipeline.evaluation.metrics import classification_metrics
from pipeline.evaluation.pictures import CaptionedImage
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.report_page import DuplicateImages, Report, SplitReport, render_report

HOSTILE = '<script>alert("1")</script>'
NAMES = (f"ants {HOSTILE}", "bees ' onload=x", "$été\udce9$")
PICTURE = CaptionedImage(np.zeros((8, 8, 1), np.uint8), f"{HOSTILE}.jpg", HOSTILE, np.ones((8, 8)))


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


@pytest.fixture(scope="module")
def report() -> Report:
    labels = np.arange(30) % 3
    shares = np.random.default_rng(0).dirichlet([1, 1, 1], 30) * 0.5
    shares[np.arange(30), labels] += 0.5
    shares /= shares.sum(axis=1, keepdims=True)
    names = [f"{HOSTILE}{number}" for number in range(30)]
    given = Predictions(NAMES, names, names, labels, shares)
    metrics = classification_metrics(labels, shares, class_names=NAMES)
    row = {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.2, "val_accuracy": 0.4}
    return Report(
        title=HOSTILE,
        description=HOSTILE,
        class_names=NAMES,
        facts={"run": HOSTILE},
        splits=[SplitReport("val", "validation", "", given, metrics, [PICTURE], [PICTURE])],
        curves=Curves([row, row], best_epoch=1, fine_tuned_from=None),
        augmented=[PICTURE],
        counts={"train": [3, 2, 1], "val": [10, 10, 10]},
        quarantined=[(HOSTILE, HOSTILE)],
        duplicates=[DuplicateImages([PICTURE, PICTURE], is_leak=True)],
        suspicious=[PICTURE],
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
            assert address is None or address.startswith(("data:image/", "#")), (tag, name)
    style = page.text.partition("</style>")[0]
    assert "@import" not in style
    assert "url(http" not in style
    policy = next(a["content"] for _, a in page.elements if "http-equiv" in a)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_it_can_be_read_in_the_dark_and_on_a_phone(page: Page) -> None:
    assert "@media (prefers-color-scheme: dark)" in page.text
    names = {a.get("name"): a.get("content") for tag, a in page.elements if tag == "meta"}
    assert names["viewport"] == "width=device-width, initial-scale=1"


def test_it_has_a_section_for_everything_that_is_known(page: Page) -> None:
    places = {a["id"] for tag, a in page.elements if tag in ("h2", "h3") and "id" in a}
    assert places == {
        "training",
        "val",
        "augmented",
        "data",
        "duplicates",
        "labels",
        "recipe",
        "environment",
    }
    assert "Epoch 1 of 2 was chosen." in page.text
    assert "In more than one split, which flatters the metrics:" in page.text


def test_what_is_not_known_has_no_section(report: Report) -> None:
    known = Report(title="ants", class_names=NAMES, splits=report.splits)
    page = Page(render_report(known).html)
    assert {a["id"] for tag, a in page.elements if tag == "h2"} == {"val"}


def test_a_heat_map_stands_beside_its_image(report: Report) -> None:
    def images(with_heat: bool) -> int:
        picture = PICTURE if with_heat else replace(PICTURE, heat=None)
        split = replace(report.splits[0], mistakes=[picture], uncertain=[])
        page = Page(render_report(Report("ants", NAMES, [split])).html)
        assert ("Grad-CAM" in page.text) == with_heat
        return sum(tag == "img" for tag, _ in page.elements)

    assert images(with_heat=True) == images(with_heat=False) + 1 == 2


def test_the_table_of_classes_agrees_with_the_metrics(report: Report, page: Page) -> None:
    for name in NAMES:
        recall = report.splits[0].metrics[f"recall/{name}"]
        assert f"{recall:.3f}" in page.text
    accuracy = report.splits[0].metrics["accuracy"]
    assert f"{accuracy:.4f}" in page.text


def test_the_confusion_matrix_of_many_classes_is_a_picture() -> None:
    names = [f"class {number}" for number in range(25)]
    labels, shares = np.arange(25), np.eye(25) * 0.9 + 0.1 / 25
    shares[3] = shares[4]
    given = Predictions(names, names, names, labels, shares / shares.sum(axis=1, keepdims=True))
    metrics = classification_metrics(labels, given.probabilities, class_names=names)
    split = SplitReport("val", "validation", "", given, metrics)
    page = Page(render_report(Report("many", names, [split])).html)
    assert [a["alt"] for tag, a in page.elements if tag == "img"] == ["confusion matrix"]
    assert "taken for" in page.text


def test_the_pictures_of_the_page_are_files_too(report: Report) -> None:
    images = render_report(report).images
    assert sorted(images) == [
        "augmented",
        "learning_curves",
        "val_confusion_matrix",
        "val_least_certain",
        "val_quality",
        "val_worst_mistakes",
    ]
    assert all(png.startswith(b"\x89PNG") for png in images.values())
