"""Many steps in a call have the weights of Keras's `fit` on the same batches."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.recipe.loader import load_recipe
from pipeline.stages.train_model import augmentation_layers, train_model
from pipeline.stages.trainer import PixelTrainer
from pipeline.training.graph_steps import MAX_STEPS_PER_CALL, steps_per_execution
from pipeline.training.optimizers import build_optimizer

RECIPES = {
    "mlp": """\
data:
  source: digits
  batch_size: 30
  sampling: balanced
  augmentation: [{random_translation: {height_factor: 0.1, width_factor: 0.1}}, {mix_up: {}}]
model: {architecture: mlp, hidden: [16]}
regularization: {dropout: 0.3, l2: 1e-3, batch_norm: true}
optimizer: {learning_rate: 1e-2, schedule: {cosine: {}}, clipnorm: 1.0}
training: {epochs: 2, class_weight: {3: 5}}
""",
    "lenet": """\
data: {source: digits, batch_size: 30}
model: {architecture: lenet, activation: relu, pooling: max}
training: {epochs: 1}
""",
}


@pytest.mark.parametrize("name", RECIPES)
def test_the_weights_are_those_of_fit(name: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPES[name])
    recipe = load_recipe(tmp_path / "recipe.yaml", ("data.validation=0",)).recipe
    splits = recipe.data.load()
    found = train_model(recipe, splits, on_epoch=lambda *_: None, show_progress=False).model

    trainer = PixelTrainer(recipe, splits, augmentation_layers(recipe, splits))
    (phase,) = trainer.phases()
    steps = phase.batches.steps_per_epoch
    assert steps % MAX_STEPS_PER_CALL  # the last call of an epoch is shorter
    assert len(splits.train) % 30  # and so is its last batch
    optimizer = build_optimizer(recipe.optimizer, steps_per_epoch=steps, epochs=phase.epochs)
    assert type(optimizer) is keras.optimizers.Adam
    trainer.model.compile(optimizer, keras.losses.CategoricalCrossentropy(), jit_compile=False)
    trainer.model.fit(
        phase.batches.training(0, phase.epochs),
        steps_per_epoch=steps,
        epochs=phase.epochs,
        shuffle=False,
        verbose=0,
    )
    for weight, expected in zip(found.weights, trainer.model.weights, strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-3, atol=1e-5, err_msg=expected.path)


@pytest.mark.parametrize(
    ("steps", "expected"), [(1, 1), (7, 7), (32, 32), (64, 32), (430, 10), (422, 2), (37, 1)]
)
def test_the_steps_per_execution_divide_the_epoch(steps: int, expected: int) -> None:
    assert steps_per_execution(steps) == expected
