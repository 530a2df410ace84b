"""Networks without some of their units, of a small network on real digits."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from pipeline.recipe.grammar import Recipe
from pipeline.stages.thinned_networks import thin_networks
from pipeline.stages.train_model import train_model
from pipeline.stages.training_pictures import training_pictures


def recipe_with(rate: float) -> Recipe:
    return Recipe.model_validate(
        {
            "data": {"source": "digits", "batch_size": 128},
            "model": {"architecture": "mlp", "hidden": [24]},
            "regularization": {"dropout": rate},
            "optimizer": {"learning_rate": 2e-2},
            "training": {"epochs": 3, "record": ["dropout"]},
        }
    )


def test_the_mean_of_thinned_networks_is_better_than_they_are() -> None:
    recipe = recipe_with(0.5)
    splits = recipe.data.load()
    trained = train_model(recipe, splits, on_epoch=lambda *_: None, show_progress=False)
    before = trained.model.get_weights()
    networks = thin_networks(recipe, splits, trained.model)
    assert networks is not None
    assert networks.metric == "accuracy"
    assert len(set(networks.of_each.tolist())) > 10
    assert networks.of_mean > networks.of_each.mean() + 0.02
    assert networks.of_whole == pytest.approx(networks.of_mean, abs=0.03)
    for weight, kept in zip(trained.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, kept)
    (picture,) = training_pictures(recipe, splits, trained)
    assert picture.name == "thinned_networks"
    assert len(picture.figure.axes[0].lines) == 2


def test_a_model_without_dropout_has_none() -> None:
    recipe = recipe_with(0.0)
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Dense(10)(keras.layers.Flatten()(inputs))
    assert thin_networks(recipe, recipe.data.load(), keras.Model(inputs, outputs)) is None
