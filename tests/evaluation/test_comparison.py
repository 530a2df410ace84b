"""Comparisons: better is what stays better in the interval of the difference."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from pipeline.evaluation import comparison
from pipeline.evaluation.comparison import Comparison, Contender
from pipeline.evaluation.predictions import Predictions

COUNT = 200


def contender(name: str, right: int, *, first: int = 0, **changes: str) -> Contender:
    """Return a model that is right about the first `right` of 200 images, numbered from `first`."""
    labels = np.arange(COUNT) % 2
    chosen = np.where(np.arange(COUNT) < right, labels, 1 - labels)
    digests = [f"{number:064x}" for number in range(first, first + COUNT)]
    names = [f"{number}.jpg" for number in range(first, first + COUNT)]
    given = Predictions(("ants", "bees"), names, digests, labels, np.eye(2)[chosen] * 0.8 + 0.1)
    parameters = {"optimizer.name": "adam", "optimizer.learning_rate": "0.001"} | changes
    metrics = {
        "val_accuracy": right / COUNT,
        "val_accuracy_low": 0.0,
        "val_f1/ants": 0.5,
        "epoch/loss": 0.1,
    }
    return Contender(name, f"{name}-0123456789", parameters, metrics, {"val": given})


@pytest.fixture(scope="module")
def compared() -> Comparison:
    return comparison.compare(
        [
            contender("old", 150),
            contender("new", 190, **{"optimizer.name": "sgd"}),
            contender("worse", 100),
            contender("like", 152),
            contender("elsewhere", 190, first=1000),
        ]
    )


def test_only_what_differs_in_the_recipe_is_told(compared: Comparison) -> None:
    assert compared.recipe == {"optimizer.name": ["adam", "sgd", "adam", "adam", "adam"]}


def test_the_results_are_the_final_metrics(compared: Comparison) -> None:
    assert compared.results == {"val_accuracy": [0.75, 0.95, 0.5, 0.76, 0.95]}


def test_each_is_held_against_the_first_on_the_same_images(compared: Comparison) -> None:
    assert [(pairing.name, pairing.verdict) for pairing in compared.pairings[:3]] == [
        ("new", "better"),
        ("worse", "worse"),
        ("like", "no difference that these images can show"),
    ]
    new = compared.pairings[0].difference
    assert new is not None
    assert new.accuracy.value == pytest.approx(0.2)


def test_figures_of_other_images_are_not_paired(compared: Comparison) -> None:
    elsewhere = compared.pairings[3]
    assert elsewhere.difference is None
    assert elsewhere.verdict.startswith("The two are not of the same images with the same classes")
    assert elsewhere.verdict in comparison.as_text(compared)


def test_runs_of_one_name_are_told_apart_by_their_ids() -> None:
    same = [contender("ants", 150), contender("ants", 160)]
    assert comparison.compare(same).names == ["ants ants-012", "ants ants-012"]


def test_the_terminal_has_aligned_tables_and_a_sentence_for_each(compared: Comparison) -> None:
    text = comparison.as_text(compared)
    assert "recipe          old   new  worse  like  elsewhere\n" in text
    assert "result        old     new     worse   like    elsewhere\n" in text
    assert "val: new against old, on the same 200 images: better\n  accuracy +0.2000 (" in text


def test_what_is_counted_has_no_decimals() -> None:
    counted = Comparison(("a", "b"), {}, {"best_epoch": [3.0, None], "val_ece": [1.0, 0.5]}, ())
    lines = comparison.as_text(counted).splitlines()
    assert [line.split() for line in lines if line.startswith(("best", "val"))] == [
        ["best_epoch", "3", "–"],
        ["val_ece", "1.0000", "0.5000"],
    ]


def test_as_csv_it_can_be_read_again(compared: Comparison) -> None:
    header, *rows = csv.reader(io.StringIO(comparison.as_csv(compared)))
    assert header[:2] == ["kind", "name"]
    assert all(row[0] in ("recipe", "result", "paired") for row in rows)
    paired = {row[1]: row for row in rows if row[0] == "paired"}
    assert len(paired) == 6
    assert paired["val_accuracy: new - old"][-4:][0] == "0.200000"
    assert paired["val_accuracy: new - old"][-1] == "200"


def test_as_a_page_nothing_in_it_runs_and_the_verdict_is_there() -> None:
    hostile = "<script>alert(1)</script>"
    page = comparison.as_html(comparison.compare([contender("old", 150), contender(hostile, 190)]))
    assert "<script" not in page
    assert "better<strong>+0.2000</strong>" in page
    assert "default-src 'none'" in page
