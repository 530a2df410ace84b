"""Metrics of images with several labels, against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from pipeline.evaluation import label_set_metrics
from pipeline.evaluation.label_set_metrics import label_metric

GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.random((300, 4)) < [0.5, 0.3, 0.1, 0.0]  # no image has the last label
PROBABILITIES = (0.4 * LABELS + 0.6 * GENERATOR.random((300, 4))).round(2)  # with ties
PREDICTED = PROBABILITIES >= 0.5
NAMES = ("sea", "sky", "sun", "snow")


@pytest.fixture(scope="module")
def values() -> dict[str, float]:
    return label_set_metrics.label_set_metrics(LABELS, PROBABILITIES, PREDICTED)


def test_metrics_are_those_of_scikit_learn(values: dict[str, float]) -> None:
    labels, probabilities, predicted = (each[:, :3] for each in (LABELS, PROBABILITIES, PREDICTED))
    assert values["mean_average_precision"] == pytest.approx(
        sklearn_metrics.average_precision_score(labels, probabilities, average="macro")
    )
    for name in ("precision", "recall", "f1"):
        score = getattr(sklearn_metrics, f"{name}_score")
        assert values[f"{name}_macro"] == pytest.approx(score(labels, predicted, average="macro"))
        assert values[f"{name}_micro"] == pytest.approx(score(LABELS, PREDICTED, average="micro"))
    assert values["hamming_loss"] == pytest.approx(sklearn_metrics.hamming_loss(LABELS, PREDICTED))
    assert values["exact_match"] == sklearn_metrics.accuracy_score(LABELS, PREDICTED)
    losses = [
        sklearn_metrics.log_loss(LABELS[:, index], PROBABILITIES[:, index], labels=[False, True])
        for index in range(4)
    ]
    assert values["log_loss"] == pytest.approx(np.mean(losses))


def test_a_single_metric_is_that_of_all_metrics(values: dict[str, float]) -> None:
    for name in values:
        if not name.endswith(("_low", "_high")):
            single = label_set_metrics.label_set_metric(name, LABELS, PROBABILITIES, PREDICTED)
            assert single == pytest.approx(values[name])
    with pytest.raises(KeyError):
        label_set_metrics.label_set_metric("accuracy", LABELS, PROBABILITIES, PREDICTED)


@pytest.mark.slow
def test_intervals_cover_what_other_draws_give() -> None:
    generator, covered = np.random.default_rng(1), 0
    for _ in range(40):
        rows = generator.integers(len(LABELS), size=200)
        drawn = label_set_metrics.label_set_metrics(
            LABELS[rows], PROBABILITIES[rows], PREDICTED[rows]
        )
        truth = label_set_metrics.label_set_metric("f1_micro", LABELS, PROBABILITIES, PREDICTED)
        covered += drawn["f1_micro_low"] <= (truth or 0) <= drawn["f1_micro_high"]
    assert covered >= 35


def test_without_any_label_what_is_undefined_is_left_out() -> None:
    none = np.zeros((5, 2), bool)
    values = label_set_metrics.label_set_metrics(none, np.full((5, 2), 0.1), none)
    assert values["exact_match"] == 1
    assert not {"mean_average_precision", "f1_macro", "f1_micro", "recall_macro"} & set(values)


@pytest.mark.parametrize("name", ["average_precision", "precision", "recall", "f1"])
def test_metrics_of_a_label_are_those_of_scikit_learn(name: str) -> None:
    is_area = name == "average_precision"
    given = (PROBABILITIES if is_area else PREDICTED)[:, 1]
    expected = getattr(sklearn_metrics, f"{name}_score")(LABELS[:, 1], given)
    arguments = (LABELS, PROBABILITIES, PREDICTED, NAMES)
    assert label_metric(f"{name}/sky", *arguments) == pytest.approx(expected)
    assert label_metric(f"{name}/snow", *arguments) is None
    assert label_metric(f"{name}/wind", *arguments) is None


def test_a_threshold_has_the_highest_f1() -> None:
    thresholds = label_set_metrics.choose_thresholds(LABELS, PROBABILITIES)
    assert thresholds[3] == 0.5
    for index, threshold in enumerate(thresholds[:3]):
        f1 = [
            sklearn_metrics.f1_score(LABELS[:, index], PROBABILITIES[:, index] >= each)
            for each in (threshold, *np.unique(PROBABILITIES[:, index]))
        ]
        assert f1[0] == pytest.approx(max(f1))


def test_the_difference_of_two_models_is_paired() -> None:
    difference = label_set_metrics.average_precision_difference(
        LABELS, PROBABILITIES, LABELS.astype(float)
    )
    before = label_set_metrics.average_precision(LABELS, PROBABILITIES)
    assert difference.value == pytest.approx(1 - np.nanmean(before))
    assert 0 < difference.low < difference.value < difference.high
    same = label_set_metrics.average_precision_difference(LABELS, PROBABILITIES, PROBABILITIES)
    assert (same.low, same.high) == (0, 0)
