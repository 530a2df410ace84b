"""Run comparisons: a run is better if the interval of the difference is above 0."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.run_comparison import (
    ComparedRun,
    RunComparison,
    compare_runs,
    to_csv,
    to_html,
    to_text,
)
from pipeline.tasks.classification import compare

COUNT = 200


def run(name: str, correct: int, *, first: int = 0, optimizer: str = "adam") -> ComparedRun:
    """Return a run whose model classifies `correct` of 200 images correctly, from image `first`."""
    labels = np.arange(COUNT) % 2
    predicted = np.where(np.arange(COUNT) < correct, labels, 1 - labels)
    digests = [f"{number:064x}" for number in range(first, first + COUNT)]
    names = [f"{number}.jpg" for number in range(first, first + COUNT)]
    predictions = Predictions(
        ("ants", "bees"), names, digests, labels, np.eye(2)[predicted] * 0.8 + 0.1
    )
    parameters = {"optimizer.name": optimizer, "optimizer.learning_rate": "0.001"}
    metrics = {
        "val_accuracy": correct / COUNT,
        "val_accuracy_low": 0.0,
        "val_f1/ants": 0.5,
        "epoch/loss": 0.1,
    }
    return ComparedRun(
        name, f"{name}-0123456789", parameters, metrics, {"val": predictions}, compare
    )


@pytest.fixture(scope="module")
def compared() -> RunComparison:
    return compare_runs(
        [
            run("old", 150),
            run("new", 190, optimizer="sgd"),
            run("worse", 100),
            run("like", 152),
            run("elsewhere", 190, first=1000),
        ]
    )


def test_only_recipe_differences_are_shown(compared: RunComparison) -> None:
    assert compared.parameters == {"optimizer.name": ["adam", "sgd", "adam", "adam", "adam"]}


def test_the_metrics_are_the_final_ones(compared: RunComparison) -> None:
    assert compared.metrics == {"val_accuracy": ["0.7500", "0.9500", "0.5000", "0.7600", "0.9500"]}


def test_each_run_is_compared_with_the_first_on_the_same_images(compared: RunComparison) -> None:
    assert [(pair.name, pair.conclusion) for pair in compared.pairs[:3]] == [
        ("new", "better"),
        ("worse", "worse"),
        ("like", "no significant difference"),
    ]
    new = compared.pairs[0].difference
    assert new is not None
    assert new.decisive.value == pytest.approx(0.2)


def test_results_on_other_images_are_not_compared(compared: RunComparison) -> None:
    elsewhere = compared.pairs[3]
    assert elsewhere.difference is None
    assert elsewhere.conclusion.startswith("The models were not evaluated on the same examples")
    assert elsewhere.conclusion in to_text(compared)


def test_several_runs_are_better_only_after_a_correction_for_their_number() -> None:
    old, better = run("old", 150), run("better", 158)
    (alone,) = compare_runs([old, better]).pairs
    assert (alone.conclusion, alone.p_value, alone.correction) == ("better", None, "")
    three = compare_runs([old, better, run("like", 151)]).pairs
    p_value = 2 * 0.5**8  # of eight tosses that are all heads
    assert [pair.p_value for pair in three] == pytest.approx([2 * p_value, 1.0])
    assert three[0].correction == "p-value 0.0156, corrected for 2 comparisons"
    assert three[0].conclusion == "better"
    many = compare_runs([old, better, *(run(f"like {i}", 151) for i in range(6))]).pairs
    assert many[0].p_value == pytest.approx(7 * p_value)
    assert many[0].conclusion == "no significant difference"


def test_a_run_on_other_images_is_no_comparison(compared: RunComparison) -> None:
    assert [pair.comparisons for pair in compared.pairs] == [3, 3, 3, 1]
    assert (
        compare_runs([run("old", 150), run("new", 190), run("far", 1, first=999)])
        .pairs[0]
        .correction
        == ""
    )


def test_runs_of_one_name_are_shown_with_their_ids() -> None:
    same = [run("ants", 150), run("ants", 160)]
    assert compare_runs(same).names == ["ants ants-012", "ants ants-012"]


def test_the_text_has_aligned_tables_and_a_sentence_for_each_run(compared: RunComparison) -> None:
    text = to_text(compared)
    corrected = "p-value below 0.0001, corrected for 3 comparisons"
    assert "recipe          old   new  worse  like  elsewhere\n" in text
    assert "metric        old     new     worse   like    elsewhere\n" in text
    lines = text[text.index("val: new vs. old on the same 200 examples: better\n") :].splitlines()
    assert lines[1].startswith("  accuracy +0.2000 (")
    assert lines[1].endswith(f")  {corrected}")
    assert lines[2].startswith("  balanced_accuracy +0.2000 (")


def test_counts_have_no_decimals() -> None:
    metrics: list[dict[str, float]] = [{"best_epoch": 3.0, "val_ece": 1.0}, {"val_ece": 0.5}]
    runs = [
        ComparedRun(name, name, {}, each, {}, compare)
        for name, each in zip("ab", metrics, strict=True)
    ]
    lines = to_text(compare_runs(runs)).splitlines()
    assert [line.split() for line in lines if line.startswith(("best", "val"))] == [
        ["best_epoch", "3", "–"],
        ["val_ece", "1.0000", "0.5000"],
    ]


def test_the_csv_can_be_parsed(compared: RunComparison) -> None:
    header, *rows = csv.reader(io.StringIO(to_csv(compared)))
    assert header[:2] == ["kind", "name"]
    assert all(row[0] in ("parameter", "metric", "difference") for row in rows)
    paired = {row[1]: row for row in rows if row[0] == "difference"}
    assert len(paired) == 9
    accuracy, log_loss = (
        dict(zip(header, paired[f"val_{name}: new - old"], strict=True))
        for name in ("accuracy", "log_loss")
    )
    assert (accuracy["difference"], accuracy["images"]) == ("0.200000", "200")
    assert float(accuracy["p_value"]) == pytest.approx(2 * 2 * 0.5**40)  # the second of three
    assert log_loss["p_value"] == ""


def test_the_page_has_the_conclusion_and_no_script() -> None:
    hostile = "<script>alert(1)</script>"
    page = to_html(compare_runs([run("old", 150), run(hostile, 190)]))
    assert "<script" not in page
    assert "accuracy: better<strong>+0.2000</strong>" in page
    assert "the interval of the first difference excludes 0" in page


def test_the_page_of_several_runs_shows_the_correction(compared: RunComparison) -> None:
    page = to_html(compared)
    assert "<br>p-value below 0.0001, corrected for 3 comparisons</div>" in page
    assert "by Holm's method, is at most 0.05" in page
    assert "excludes 0" not in page
    assert "default-src 'none'" in page
