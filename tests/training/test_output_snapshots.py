"""What a model computes after several epochs."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.training.output_snapshots import OutputSnapshots

INPUTS = np.array([[0.0], [1.0]], np.float32)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A model that multiplies with a number."""
    numbers = keras.Input((1,))
    return keras.Model(numbers, keras.layers.Dense(1, use_bias=False)(numbers))


def test_epochs_of_a_logarithmic_scale_are_kept_with_their_weights(model: keras.Model) -> None:
    snapshots = OutputSnapshots(model, INPUTS, None)
    for epoch in range(1, 60):
        model.set_weights([np.array([[float(epoch)]])])
        snapshots.take(epoch)
    assert {epoch: outputs.ravel().tolist() for epoch, outputs in snapshots.outputs.items()} == {
        epoch: [0, epoch] for epoch in (1, 2, 5, 10, 20, 50)
    }


def test_a_training_that_is_resumed_has_those_of_before(model: keras.Model, tmp_path: Path) -> None:
    before = OutputSnapshots(model, INPUTS, tmp_path)
    for epoch in (1, 2):
        model.set_weights([np.array([[float(epoch)]])])
        before.take(epoch)
    after = OutputSnapshots(model, INPUTS, tmp_path)
    after.take(5)
    assert {epoch: outputs[1, 0] for epoch, outputs in after.outputs.items()} == {1: 1, 2: 2, 5: 2}
