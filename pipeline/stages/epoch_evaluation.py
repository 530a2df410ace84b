"""The metrics of the validation images that an epoch has beside those that Keras computes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Sequence

import numpy as np

from pipeline.data.splits import Split, Splits
from pipeline.tasks.task import Task

Evaluate = Callable[[np.ndarray], dict[str, float]]


def epoch_evaluation(task: Task, splits: Splits, names: Collection[str]) -> Evaluate | None:
    """Return the function that computes metrics from the outputs of a model in each epoch.

    Its metrics are those that the evaluation of the trained model has.

    Args:
        task: what is predicted.
        splits: the images.
        names: of the metrics, such as `val_f1_macro`. Those of Keras are left out.

    Returns:
        A function of the outputs for the validation images, (n, units), for `fit_phases`. Outputs
        that are not finite have the metrics NaN. None if no metric is left, or no image.
    """
    needed = sorted(set(names) - {f"val_{name}" for name in task.RUNNING_METRICS})
    if not needed or splits.validation is None:
        return None
    return functools.partial(
        _evaluate, task, needed, splits.validation, class_names=splits.class_names
    )


def _evaluate(
    task: Task,
    names: Sequence[str],
    split: Split,
    outputs: np.ndarray,
    *,
    class_names: Sequence[str],
) -> dict[str, float]:
    if not np.isfinite(outputs).all():
        return dict.fromkeys(names, math.nan)
    answers, labels = task.outputs(outputs, split.images), split.labels
    thresholds = task.choose_thresholds(len(class_names), lambda: (labels, answers))
    metrics = {}
    for name in names:
        value = task.metric(name.removeprefix("val_"), labels, answers, thresholds, class_names)
        metrics[name] = math.nan if value is None else value
    return metrics
