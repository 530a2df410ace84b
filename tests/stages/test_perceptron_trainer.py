"""Training by the perceptron rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.data.batches import shuffled
from pipeline.data.splits import Splits
from pipeline.recipe.grammar import Recipe
from pipeline.stages.train_model import TrainedModel, train_model


def trained(kind: str, epochs: int = 30, **model: Any) -> tuple[TrainedModel, Splits, Recipe]:
    data = {"source": "generated", "kind": kind, "samples": 20, "validation": 0.0, "test": 0.0}
    recipe = Recipe.model_validate(
        {
            "data": {**data, "batch_size": 1},
            "model": {"architecture": "perceptron", **model},
            "training": {"epochs": epochs},
        }
    )
    splits = recipe.data.load()
    return train_model(recipe, splits, on_epoch=lambda *_: None), splits, recipe


def weights_by_hand(splits: Splits, recipe: Recipe, epochs: int) -> tuple[np.ndarray, list[int]]:
    """Return the weights, the bias last, and the mistakes of each epoch, by the rule itself."""
    points = splits.train.images.read(np.arange(len(splits.train)))
    inputs = np.hstack([points, np.ones((len(points), 1))])
    weights, mistakes = np.zeros(3), [0] * epochs
    order = shuffled(splits.train.labels, batch_size=1, seed=recipe.seed, epochs=epochs)
    for step, (_, (index,)) in enumerate(order.as_numpy_iterator()):
        sign = 1 if splits.train.labels[index] else -1
        if (weights @ inputs[index] > 0) != (sign > 0):
            weights += sign * inputs[index]
            mistakes[step // len(points)] += 1
    return weights, mistakes


def test_a_mistake_adds_the_input_to_the_weights_or_subtracts_it() -> None:
    found, splits, recipe = trained("xor", epochs=4)
    weights, mistakes = weights_by_hand(splits, recipe, epochs=4)
    kernel, bias = found.model.get_weights()
    assert [*kernel.ravel(), *bias] == weights.tolist()
    assert [row["mistakes"] for row in found.history.rows] == mistakes


@pytest.mark.parametrize("kind", ["and", "nand"])
def test_it_ends_with_the_first_epoch_without_a_mistake(kind: str) -> None:
    found, splits, _ = trained(kind)
    mistakes = [row["mistakes"] for row in found.history.rows]
    assert mistakes[-1] == 0
    assert all(mistakes[:-1])
    predicted = found.trainer.predict(splits.train, "train").argmax(axis=1)
    assert predicted.tolist() == splits.train.labels.tolist()
    assert found.trainer.conclusion(found.history) == (
        f"The perceptron made no mistake in epoch {len(mistakes)}, so it has converged.",
        True,
    )


def test_given_weights_that_are_right_need_no_change() -> None:
    nand = {"kernel": [[-2.0], [-2.0]], "bias": [3.0]}
    found, _, _ = trained("nand", initial_weights=nand)
    assert [row["mistakes"] for row in found.history.rows] == [0]
    assert found.model.get_weights()[1].tolist() == [3]


@pytest.mark.parametrize(
    ("kind", "epochs", "reason"),
    [
        (
            "xor",
            3,
            "It never will: no line divides the classes of the training examples. Choose "
            "model.architecture: mlp with a hidden layer.",
        ),
        ("nand", 1, "A line divides the classes, so set more training.epochs."),
    ],
)
def test_it_says_why_it_did_not_converge(kind: str, epochs: int, reason: str) -> None:
    found, _, _ = trained(kind, epochs)
    mistakes = int(found.history.rows[-1]["mistakes"])
    assert found.trainer.conclusion(found.history) == (
        f"The perceptron did not converge: it made {mistakes} mistakes in epoch {epochs}. {reason}",
        False,
    )
