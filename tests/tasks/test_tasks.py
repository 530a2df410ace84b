"""What holds for every task in the table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.data.label_columns import _READERS
from pipeline.data.splits import ArrayImages
from pipeline.evaluation.predictions import Predictions
from pipeline.metric_direction import is_better, metric_direction
from pipeline.tasks.task import Task
from pipeline.tasks.tasks import TASKS
from pipeline.training.loss_config import LOSS_NAMES

CLASSES = 3
PIXELS = ArrayImages(np.random.default_rng(1).integers(0, 256, (60, 4, 4, 1), np.uint8))


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
        "number": generator.normal(5, 2, 60),
    }[TASKS[name].LABEL_KIND]
    if TASKS[name].DRAWS_IMAGES:
        return labels, generator.random(PIXELS.array.shape)
    outputs = generator.dirichlet(np.ones(CLASSES), 60)
    return labels, outputs if labels.dtype.kind != "f" else 20 * outputs[:, :1]


def answers(task: Task, units: np.ndarray) -> np.ndarray:
    return task.outputs(units, PIXELS)


def perfect(task: Task, labels: np.ndarray) -> np.ndarray:
    """Return outputs that are almost right."""
    if task.DRAWS_IMAGES:
        return answers(task, 0.98 * PIXELS.array / 255)
    if labels.dtype.kind == "f":
        return 0.98 * labels[:, np.newaxis]
    truth = labels if labels.ndim == 2 else np.eye(CLASSES)[labels]
    return np.asarray(0.98 * truth + 0.02 / CLASSES)


def test_the_metrics_that_a_recipe_may_name_are_those_of_an_evaluation(name: str) -> None:
    task, (labels, outputs) = TASKS[name], drawn(name)
    probabilities = answers(task, outputs)
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
    assert mean == pytest.approx(values[task.LOSS_METRIC])


def test_a_metric_improves_in_its_direction(name: str) -> None:
    task, (labels, outputs) = TASKS[name], drawn(name)
    found = []
    for probabilities in (answers(task, outputs), perfect(task, labels)):
        thresholds = task.choose_thresholds(CLASSES, None)
        found.append(task.metrics(labels, probabilities, thresholds))
    noise, better = found
    for metric in task.METRICS:
        assert is_better(better[metric], noise[metric], metric_direction(metric)), metric


def test_decisions_look_as_labels_do(name: str) -> None:
    task, (labels, outputs) = TASKS[name], drawn(name)
    thresholds = task.choose_thresholds(CLASSES, None)
    predicted = task.decide(answers(task, outputs), thresholds)
    assert len(predicted) == len(labels)
    if not task.DRAWS_IMAGES:
        assert (predicted.shape, predicted.dtype) == (labels.shape, labels.dtype)
    counts = task.class_counts(labels, CLASSES)
    expected = [task.is_of_class(labels, index).sum() for index in range(len(counts))]
    assert counts.tolist() == expected


def test_the_better_of_two_models_is_found(name: str) -> None:
    task, (labels, outputs) = TASKS[name], drawn(name)
    images, thresholds = (
        [str(number) for number in range(60)],
        task.choose_thresholds(CLASSES, None),
    )
    noise, better = (
        Predictions(list("abc"), images, images, labels, each, thresholds)
        for each in (answers(task, outputs), perfect(task, labels))
    )
    found = task.compare(noise, better)
    assert found.is_improvement
    assert not task.compare(better, noise).is_improvement
    assert found.p_value < 1e-6
    assert found.images == 60
    assert next(iter(found.metrics)) == task.COMPARED_METRIC
    means = [task.image_scores(each).mean() for each in (noise, better)]
    assert found.decisive.value == pytest.approx(means[1] - means[0])
    assert task.compare(noise, noise).p_value == 1


def test_rounding_changes_no_answer(name: str) -> None:
    task, (labels, outputs) = TASKS[name], drawn(name)
    expected = answers(task, outputs)
    thresholds = task.choose_thresholds(CLASSES, lambda: (labels, expected))
    rounded = task.difference(answers(task, outputs.astype(np.float32)), expected, thresholds)
    assert rounded.changed == 0
    assert rounded.largest < 1e-6
    reversed_ = task.difference(expected[::-1], expected, thresholds)
    assert reversed_.changed > 5
    assert reversed_.largest > 0.1


def test_an_answer_has_the_names_and_types_that_its_model_declares(name: str) -> None:
    task, (_, outputs) = TASKS[name], drawn(name)
    thresholds = task.choose_thresholds(CLASSES, None)
    row = answers(task, outputs)[0]
    answer = task.answer(row, thresholds, list("abc"))
    types: dict[str, Any] = {"string": str, "double": float, "boolean": bool, "any": (list, dict)}
    assert list(answer) == list(task.ANSWER)
    assert all(isinstance(answer[one], types[kind]) for one, kind in task.ANSWER.items())
    columns = task.table_columns(list("abc"), top=2)
    assert len(task.table_cells(row, thresholds, list("abc"), top=2)) == len(columns)


def test_its_losses_and_labels_are_known_elsewhere(name: str) -> None:
    task = TASKS[name]
    assert set(task.LOSSES) <= set(LOSS_NAMES)
    assert task.LABEL_KIND in _READERS
