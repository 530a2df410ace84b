"""Training on pixels of real digits."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from pipeline.models import transfer
from pipeline.recipe.loader import load_recipe
from pipeline.stages.feature_trainer import FeatureTrainer
from pipeline.stages.train_model import train_model


def test_a_base_that_learns_trains_from_random_weights(in_empty_folder: Path) -> None:
    base = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Rescaling(1 / 75, -1.0),
            keras.layers.Conv2D(16, 3, name="convolution"),
            keras.layers.BatchNormalization(momentum=0.9, name="norm"),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
        ]
    )
    base.trainable = False
    base.save("base.keras")
    Path("recipe.yaml").write_text(
        "data: {source: digits, batch_size: 64}\n"
        "model: {architecture: transfer, base: base.keras, train_base: true}\n"
        "optimizer: {learning_rate: 5e-3}\n"
        "training: {epochs: 2}\n"
    )
    recipe = load_recipe(Path("recipe.yaml")).recipe
    trained = train_model(recipe, recipe.data.load(), on_epoch=lambda *_: None, show_progress=False)
    assert not isinstance(trained.trainer, FeatureTrainer)
    assert trained.history.rows[-1]["val_accuracy"] > 0.85
    learned = transfer.base_of(trained.model)
    assert np.abs(learned.get_layer("norm").moving_mean).max() > 0.1
    before, after = (np.asarray(each.get_layer("convolution").kernel) for each in (base, learned))
    assert not np.array_equal(before, after)
