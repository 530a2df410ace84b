"""Metrics of each class, against values calculated by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.class_metrics import class_metric, class_metrics
from pipeline.evaluation.intervals import proportion_interval

LABELS = np.array([0, 0, 1, 1, 2, 2])
PREDICTED = np.array([0, 1, 1, 1, 2, 0])
NAMES = ("ant", "bee", "wasp", "fly")


def test_each_class_has_precision_recall_and_f1() -> None:
    metrics = class_metrics(LABELS, PREDICTED, NAMES)
    np.testing.assert_allclose(metrics.precision, [1 / 2, 2 / 3, 1, np.nan])
    np.testing.assert_allclose(metrics.recall, [1 / 2, 1, 1 / 2, np.nan])
    np.testing.assert_allclose(metrics.f1, [1 / 2, 0.8, 2 / 3, np.nan])


def test_a_row_has_the_interval_of_a_proportion_and_none_where_it_is_undefined() -> None:
    rows = class_metrics(LABELS, PREDICTED, NAMES).rows()
    interval = proportion_interval(2, 3)
    bee = {name: rows[1][f"precision{name}"] for name in ("", "_low", "_high")}
    assert bee == {"": interval.value, "_low": interval.low, "_high": interval.high}
    absent = rows[3]
    assert (absent.pop("class"), absent.pop("images")) == ("fly", 0)
    assert set(absent.values()) == {None}


def test_the_worst_classes_have_the_lowest_recall() -> None:
    labels, predicted = np.array([0, 1, 1, 1, 2, 2]), np.array([1, 1, 1, 0, 2, 0])
    metrics = class_metrics(labels, predicted, NAMES)
    assert metrics.worst(2) == [0, 2]
    assert metrics.worst(10) == [0, 2, 1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("recall/wasp", 0.5),
        ("f1/bee", 0.8),
        ("recall/fly", None),
        ("precision/moth", None),
        ("accuracy", None),
    ],
)
def test_one_metric_is_found_by_the_name_of_its_class(name: str, value: float | None) -> None:
    assert class_metric(name, LABELS, PREDICTED, NAMES) == value


def test_the_precision_of_a_class_that_was_never_predicted_is_0() -> None:
    assert class_metric("precision/fly", np.array([0, 3]), np.array([0, 0]), NAMES) == 0


def test_rows_have_bounds_and_no_value_where_it_is_undefined() -> None:
    rows = class_metrics(LABELS, PREDICTED, NAMES).rows()
    bounds = ["precision", "precision_low", "precision_high", "recall", "recall_low", "recall_high"]
    assert list(rows[0]) == ["class", "images", *bounds, "f1"]
    assert [row["class"] for row in rows] == list(NAMES)
    assert rows[3]["precision"] is None
