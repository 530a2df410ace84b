"""What the recipes of the course with one variable learn, compared with closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import QuantileRegressor

from pipeline.data.splits import Splits
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.loader import load_recipe
from pipeline.recipe.shipped import shipped_recipes
from pipeline.stages.train_model import train_model


def recipe_of(name: str, **overrides: object) -> tuple[Recipe, Splits]:
    changes = {key.replace("__", "."): value for key, value in overrides.items()}
    recipe = load_recipe(shipped_recipes()[f"course/{name}"], changes, environment={}).recipe
    return recipe, recipe.data.load()


def trained_line(name: str, **overrides: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the trained slope and intercept, and the training points x and y."""
    recipe, splits = recipe_of(name, **overrides)
    model = train_model(recipe, splits, on_epoch=lambda *_: None).model
    at_0, at_1 = model.predict(np.array([[0.0], [1.0]], np.float32), verbose=0)[:, 0]
    x = splits.train.images.read(np.arange(len(splits.train)))[:, 0].astype(np.float64)
    return np.array([at_1 - at_0, at_0]), x, splits.train.labels.astype(np.float64)


@pytest.mark.parametrize("name", ["line", "line_momentum", "line_adam"])
def test_gradient_descent_finds_the_line_of_least_squares(name: str) -> None:
    # The last epoch: the one that is best on other points is not the nearest to least squares.
    line, x, y = trained_line(name, data__validation=0, training__epochs=300)
    np.testing.assert_allclose(line, np.polyfit(x, y, 1), atol=1e-3)


def test_absolute_errors_find_the_median_line() -> None:
    line, x, y = trained_line("line_absolute", data__validation=0)
    median = QuantileRegressor(quantile=0.5, alpha=0, solver="highs").fit(x[:, np.newaxis], y)
    np.testing.assert_allclose(line, [median.coef_[0], median.intercept_], atol=1e-2)


def test_given_weights_are_the_formula_of_a_step() -> None:
    recipe, splits = recipe_of("step_given_weights")
    model = recipe.model.build(
        input_shape=splits.input_shape,
        output=recipe.output_layer(splits),
        regularization=recipe.regularization,
        standardize=lambda inputs: inputs,
    )
    x = np.arange(1025, dtype=np.float32)[:, np.newaxis] / 1024  # exact in float32
    expected = expit(3072 * x - 1024) - expit(3072 * x - 2048)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-6)


def test_training_keeps_the_step() -> None:
    recipe, splits = recipe_of("step_given_weights")
    history = train_model(recipe, splits, on_epoch=lambda *_: None).history
    assert history.rows[-1]["val_mse"] ** 0.5 < 0.02
