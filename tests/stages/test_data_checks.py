"""Checks of a recipe together with its images."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.splits import Splits, splits_from_arrays
from pipeline.errors import DataError
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.loader import load_recipe
from pipeline.stages.data_checks import check_recipe_with_data, warn_of_rare_updates
from pipeline.stages.train_model import train_model
from pipeline.stages.trainer import PixelTrainer
from pipeline.training import model_state
from pipeline.training.training_config import EarlyStoppingConfig

DIGITS = """\
data: {source: digits, batch_size: 512}
model: {architecture: mlp, hidden: [4]}
training: {epochs: 2}
"""


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(DIGITS)
    return path


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    path = tmp_path_factory.mktemp("digits") / "recipe.yaml"
    path.write_text(DIGITS)
    return load_recipe(path).recipe.data.load()  # 3 steps per epoch


def recipe_of(path: Path, *overrides: str) -> Recipe:
    return load_recipe(path, overrides).recipe


def weights_after(recipe: Recipe, splits: Splits) -> list[np.ndarray]:
    trained = train_model(recipe, splits, on_epoch=lambda *_: None, show_progress=False)
    return list(model_state.values(model_state.weights(trained.model)))


def test_more_accumulated_steps_than_the_training_has_are_an_error(
    text: Path, digits: Splits
) -> None:
    with pytest.raises(DataError) as caught:
        check_recipe_with_data(recipe_of(text, "optimizer.gradient_accumulation_steps=7"), digits)
    assert str(caught.value) == (
        "optimizer.gradient_accumulation_steps: the weights would never change: an update takes "
        "7 steps, and training.epochs: 2 has 6. Lower it or data.batch_size, or train for more "
        "epochs."
    )


def test_gradients_are_accumulated_across_epochs(text: Path, digits: Splits) -> None:
    recipe = recipe_of(text, "optimizer.gradient_accumulation_steps=6")
    check_recipe_with_data(recipe, digits)
    updated = weights_after(recipe, digits)
    never = weights_after(recipe_of(text, "optimizer.gradient_accumulation_steps=7"), digits)
    initial = model_state.values(model_state.weights(PixelTrainer(recipe, digits, ()).model))
    kernels = [i for i, weight in enumerate(initial) if weight.ndim == 2]
    for i in kernels:
        np.testing.assert_array_equal(never[i], initial[i])
        assert not np.array_equal(updated[i], initial[i])


def test_updates_that_are_rarer_than_epochs_are_a_warning(
    text: Path, digits: Splits, messages: list[str]
) -> None:
    warn_of_rare_updates(recipe_of(text, "optimizer.gradient_accumulation_steps=3"), digits)
    assert messages == []
    warn_of_rare_updates(recipe_of(text, "optimizer.gradient_accumulation_steps=4"), digits)
    assert messages == [
        "WARNING: optimizer.gradient_accumulation_steps: the weights change every 4 steps, but an "
        "epoch has 3, so some epochs change nothing."
    ]


@pytest.mark.parametrize(
    ("objective", "problem"),
    [
        (
            "val_f1/bee",
            "the data has no class 'bee'. Available: ants, bees. Did you mean 'bees'?",
        ),
        ("val_roc_auc", "val_roc_auc is undefined: the validation split has only labels of ants."),
        ("val_recall/bees", "val_recall/bees is undefined: the validation split has none of bees."),
    ],
)
def test_an_objective_that_no_run_will_have_is_an_error(
    text: Path, objective: str, problem: str
) -> None:
    labels = np.array([0, 1, 0, 1, 0, 0])
    splits = splits_from_arrays(
        np.arange(6 * 64, dtype=np.uint8).reshape(6, 8, 8, 1),
        labels,
        image_size=(8, 8),
        class_names=("ants", "bees"),
        parts=(np.arange(4), np.array([4, 5]), np.array([0])),
    )
    tuning = f"tuning={{objective: {objective}, space: {{seed: {{choice: [1, 2]}}}}}}"
    recipe = recipe_of(text, tuning.replace(objective, "val_accuracy"))
    assert recipe.tuning is not None
    changed = recipe.tuning.model_copy(update={"objective": objective})
    with pytest.raises(DataError) as caught:
        check_recipe_with_data(recipe.model_copy(update={"tuning": changed}), splits)
    assert str(caught.value) == f"tuning.objective: {problem}"
    monitored = recipe.training.model_copy(
        update={"early_stopping": EarlyStoppingConfig.model_construct(monitor=objective)}
    )
    with pytest.raises(DataError) as caught:
        check_recipe_with_data(recipe.model_copy(update={"training": monitored}), splits)
    assert str(caught.value) == f"training.early_stopping.monitor: {problem}"


def test_images_that_turn_out_to_have_no_validation_split_are_an_error(
    text: Path, digits: Splits
) -> None:
    trained_on = dataclasses.replace(digits, validation=None)
    with pytest.raises(DataError) as caught:
        check_recipe_with_data(recipe_of(text, "training.early_stopping={}"), trained_on)
    assert str(caught.value) == (
        "training.early_stopping: needs a validation split, and data.validation: 0 leaves none. "
        "Remove this section, or set data.validation above 0."
    )
    with pytest.raises(DataError) as caught:
        check_recipe_with_data(
            recipe_of(text, "tuning={space: {model.hidden: {choice: [[], [8]]}}}"), trained_on
        )
    assert str(caught.value) == (
        "tuning.objective: val_accuracy needs a validation split, and data.validation: 0 leaves "
        "none. Set data.validation above 0."
    )
