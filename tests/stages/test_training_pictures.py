"""The figures of a training of a small convolutional network on real digits."""

from __future__ import annotations

import numpy as np

from pipeline.recipe.grammar import Recipe
from pipeline.stages.train_model import train_model
from pipeline.stages.training_pictures import training_pictures


def test_what_the_recipe_asks_for_is_measured_and_drawn() -> None:
    layers = [
        {"Conv2D": {"filters": 4, "kernel_size": 3, "activation": "relu"}},
        "Flatten",
        {"Dense": {"units": 8, "activation": "sigmoid"}},
    ]
    recipe = Recipe.model_validate(
        {
            "data": {"source": "digits", "batch_size": 128},
            "model": {"architecture": "sequential", "layers": layers},
            "training": {"epochs": 2, "record": ["gradients", "units", "filters"]},
        }
    )
    splits = recipe.data.load()
    trained = train_model(recipe, splits, on_epoch=lambda *_: None, show_progress=False)
    for row in trained.history.rows:
        norms = [row[f"gradient_norm/0{layer}"] for layer in ("1_conv2d", "2_dense", "3_dense")]
        assert min(norms) > 0
        assert 0 <= row["dead_units/01_conv2d"] <= 1
    pictures = {each.name: each for each in training_pictures(recipe, splits, trained)}
    assert list(pictures) == ["gradient_norms", "dead_units", "filters", "feature_maps"]
    assert len(pictures["gradient_norms"].figure.axes[0].lines) == 3
    assert len(pictures["dead_units"].figure.axes[0].lines) == 1
    maps = [axes for axes in pictures["feature_maps"].figure.axes if axes.images]
    assert np.asarray(maps[0].images[0].get_array()).shape == (8, 8)
    assert np.asarray(maps[1].images[0].get_array()).shape == (6, 6)


def test_the_loss_of_two_parameters_is_drawn_with_their_path() -> None:
    recipe = Recipe.model_validate(
        {
            "data": {
                "source": "generated",
                "task": "regression",
                "kind": {"line": {"slope": 2.0, "intercept": 1.0}},
                "batch_size": "all",
            },
            "model": {"architecture": "mlp", "hidden": [], "standardize": False},
            "optimizer": {"name": "sgd", "learning_rate": 0.5},
            "training": {
                "epochs": 5,
                "loss": "mean_squared_error",
                "record": ["surface"],
                "compare_optimizers": [{"name": "sgd", "learning_rate": 0.5, "momentum": 0.9}],
            },
        }
    )
    splits = recipe.data.load()
    trained = train_model(recipe, splits, on_epoch=lambda *_: None, show_progress=False)
    before = trained.model.get_weights()
    (picture,) = training_pictures(recipe, splits, trained)
    path = np.asarray(picture.figure.axes[0].lines[0].get_xydata())
    assert path.shape == (5, 2)
    lines = {str(line.get_label()): line for line in picture.figure.axes[0].lines}
    other = np.asarray(lines["sgd, learning_rate 0.5, momentum 0.9"].get_xydata())
    np.testing.assert_array_equal(other[:2], path[:2])  # the first step is the same
    np.testing.assert_allclose(
        other[2] - other[1], path[2] - path[1] + 0.9 * (path[1] - path[0]), rtol=1e-5
    )
    assert path[0, 1] == 0  # the bias, before training
    assert path[-1, 0] > path[0, 0]
    for weight, value in zip(trained.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)
