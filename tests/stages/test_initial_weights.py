"""A model that starts from the weights of a finished run."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.errors import ModelError, UsageError
from pipeline.inference.classifier import load_classifier
from pipeline.models.layers import OutputLayer
from pipeline.models.regularization import RegularizationConfig
from pipeline.recipe.grammar import Recipe
from pipeline.stages.initial_weights import (
    initial_run,
    load_initial_weights,
    pin_initial_weights,
)
from pipeline.training.checkpoints import Checkpoints
from pipeline.workflows.run_result import RunResult


def recipe_from(run: RunResult, reference: str, hidden: int = 64) -> Recipe:
    return Recipe.model_validate(
        {
            "data": {"source": "digits"},
            "model": {"architecture": "mlp", "hidden": [hidden], "weights": reference},
            "tracking": {"uri": run.tracking_uri},
        }
    )


def built(recipe: Recipe, classes: int = 10) -> keras.Model:
    return recipe.model.build(
        input_shape=(8, 8, 1),
        output=OutputLayer(classes, "softmax"),
        regularization=RegularizationConfig(),
        standardize=keras.layers.Rescaling(1 / 255),
    )


def test_a_run_is_named_as_on_the_command_line_and_kept_by_its_id(
    digits_run: RunResult, tmp_path: Path
) -> None:
    checkpoints = Checkpoints(tmp_path)
    recipe = pin_initial_weights(recipe_from(digits_run, "runs:/digits"), checkpoints)
    assert recipe.model.weights == f"runs:/{digits_run.run_id}"
    assert initial_run(recipe) == digits_run.run_id
    resumed = pin_initial_weights(recipe_from(digits_run, "runs:/another"), checkpoints)
    assert initial_run(resumed) == digits_run.run_id
    with pytest.raises(UsageError, match=r"^There is no run another in "):
        pin_initial_weights(recipe_from(digits_run, "runs:/another"), None)


def test_all_layers_have_the_weights_of_the_run(digits_run: RunResult, digits_model: Path) -> None:
    recipe = recipe_from(digits_run, digits_run.model_uri)
    model = built(recipe)
    load_initial_weights(model, recipe)
    expected = load_classifier(digits_model).model.get_weights()
    for weight, other in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_an_output_layer_of_other_classes_is_new(
    digits_run: RunResult, digits_model: Path, messages: list[str]
) -> None:
    recipe = recipe_from(digits_run, "runs:/digits")
    model = built(recipe, classes=3)
    before = model.get_weights()
    load_initial_weights(model, recipe)
    expected = load_classifier(digits_model).model.get_weights()
    np.testing.assert_array_equal(model.get_weights()[0], expected[0])
    np.testing.assert_array_equal(model.get_weights()[2], before[2])
    assert messages == [
        f"The output layer is new: run digits ({digits_run.run_id}) has 10 units there",
        f"Starting from the weights of run digits ({digits_run.run_id})",
    ]


def test_other_layers_are_an_error(digits_run: RunResult) -> None:
    recipe = recipe_from(digits_run, "runs:/digits", hidden=32)
    with pytest.raises(ModelError) as caught:
        load_initial_weights(built(recipe), recipe)
    assert str(caught.value) == (
        f"model.weights: the model of run digits ({digits_run.run_id}) does not have the layers of "
        "this recipe. Layer 1 with weights: expected the shapes (64, 32), (32,). Received: "
        "(64, 64), (64,). Only the output layer may differ."
    )
