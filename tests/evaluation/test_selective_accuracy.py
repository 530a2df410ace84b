"""What a threshold on the probability costs."""

from __future__ import annotations

import numpy as np

from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.selective_accuracy import selective_accuracy


def predictions(confidence: list[float], correct: list[bool]) -> Predictions:
    first = np.array(confidence)
    labels = np.where(correct, 0, 1)
    names = [str(number) for number in range(len(first))]
    return Predictions(("ants", "bees"), names, names, labels, np.stack([first, 1 - first], axis=1))


def test_answering_the_most_certain_images_only_leaves_fewer_errors() -> None:
    predicted = predictions([0.6, 0.99, 0.7, 0.9], [False, True, False, True])
    rows = selective_accuracy(predicted, (1.0, 0.75, 0.5))
    assert [(each.threshold, each.answered, each.errors) for each in rows] == [
        (0.6, 1.0, 2),
        (0.7, 0.75, 1),
        (0.9, 0.5, 0),
    ]
    assert [each.accuracy.value for each in rows] == [0.5, 2 / 3, 1.0]


def test_images_with_equal_probabilities_are_answered_together() -> None:
    rows = selective_accuracy(predictions([0.8] * 4, [True, True, True, False]), (1.0, 0.5))
    assert [(each.answered, each.errors) for each in rows] == [(1.0, 1)]
