"""What holds for every task in the table."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.data.label_columns import _READERS
from pipeline.metric_direction import is_better, metric_direction
from pipeline.tasks.tasks import TASKS
from pipeline.training.loss_config import LOSS_NAMES

CLASSES = 3


@pytest.fixture(params=TASKS)
def name(request: pytest.FixtureRequest) -> str:
    task: str = request.param
    return task


def drawn(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and outputs of a model for 60 images."""
    generator = np.random.default_rng(0)
    labels = {
        "class": generator.integers(0, CLASSES, 60),
        "classes": generator.random((60, CLASSES)) < 0.5,
    }[TASKS[name].LABEL_KIND]
    return labels, generator.dirichlet(np.ones(CLASSES), 60)


def test_the_metrics_that_a_recipe_may_name_are_those_of_an_evaluation(name: str) -> None:
    task, (labels, outputs) = TASKS[name], drawn(name)
    probabilities = task.outputs(outputs)
    thresholds = task.choose_thresholds(CLASSES, lambda: (labels, probabilities))
    values = task.metrics(labels, probabilities, thresholds)
    assert {one for one in values if not one.endswith(("_low", "_high"))} == set(task.METRICS)
    class_names = list("abc")
    for metric in task.METRICS:
        single = task.metric(metric, labels, probabilities, thresholds, class_names)
        assert single == pytest.approx(values[metric])
    for metric in task.CLASS_METRICS:
        assert task.metric(f"{metric}/b", labels, probabilities, thresholds, class_names)
    assert {*task.main_metrics(is_imbalanced=True), task.COMPARED_METRIC} <= set(task.METRICS)
    for metric in task.headline_metrics(is_imbalanced=True):
        assert values[f"{metric}_low"] <= values[metric] <= values[f"{metric}_high"]
    mean = task.image_losses(labels, probabilities).mean()
    assert mean == pytest.approx(values["log_loss"])


def test_a_metric_improves_in_its_direction(name: str) -> None:
    task, (labels, outputs) = TASKS[name], drawn(name)
    truth = labels if labels.ndim == 2 else np.eye(CLASSES)[labels]
    found = []
    for probabilities in (task.outputs(outputs), 0.98 * truth + 0.02 / CLASSES):
        thresholds = task.choose_thresholds(CLASSES, None)
        found.append(task.metrics(labels, probabilities, thresholds))
    noise, better = found
    for metric in task.METRICS:
        assert is_better(better[metric], noise[metric], metric_direction(metric)), metric


def test_decisions_look_as_labels_do(name: str) -> None:
    task, (labels, outputs) = TASKS[name], drawn(name)
    thresholds = task.choose_thresholds(CLASSES, None)
    predicted = task.decide(task.outputs(outputs), thresholds)
    assert (predicted.shape, predicted.dtype) == (labels.shape, labels.dtype)
    counts = task.class_counts(labels, CLASSES)
    assert counts.tolist() == [task.is_of_class(labels, index).sum() for index in range(CLASSES)]


def test_its_losses_and_labels_are_known_elsewhere(name: str) -> None:
    task = TASKS[name]
    assert set(task.LOSSES) <= set(LOSS_NAMES)
    assert task.LABEL_KIND in _READERS
