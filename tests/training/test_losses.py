"""The metrics of each epoch."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.training.losses import running_metrics
from pipeline.training.training_config import Loss


@pytest.mark.parametrize(
    ("loss", "labels", "probabilities"),
    [
        ("binary_cross_entropy", [[0.8], [0.3], [1.0], [0.0]], [[0.9], [0.9], [0.6], [0.2]]),
        (
            "cross_entropy",
            [[0.2, 0.8], [0.7, 0.3], [0.0, 1.0], [1.0, 0.0]],
            [[0.1, 0.9], [0.1, 0.9], [0.4, 0.6], [0.8, 0.2]],
        ),
    ],
)
def test_the_accuracy_of_a_mixed_label_is_that_of_its_larger_part(
    loss: Loss, labels: list[list[float]], probabilities: list[list[float]]
) -> None:
    (accuracy,) = running_metrics(loss, top_k=None)
    accuracy.update_state(np.array(labels, np.float32), np.array(probabilities, np.float32))
    assert float(accuracy.result()) == 0.75
