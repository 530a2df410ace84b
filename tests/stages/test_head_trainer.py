"""A head that is trained again, with other numbers, is the head of a run with these numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.recipe.grammar import Recipe
from pipeline.recipe.loader import load_recipe
from pipeline.stages.head_trainer import CompiledHeads
from pipeline.stages.train_model import TrainedModel, compute_head_inputs, train_model
from pipeline.training.training_data import TrainingData

RECIPE = """\
data: {{source: image_folder, path: {photographs}, image_size: [32, 32]}}
model: {{architecture: transfer, base: base.keras, hidden: [8]}}
optimizer: {{name: adam, learning_rate: 1e-2, schedule: {{cosine: {{}}}}}}
regularization: {{dropout: 0.3, l1: 1e-4, l2: 1e-3}}
training: {{epochs: 3}}
runtime: {{engine: tensorflow, precision: float32}}
"""
OTHER = (
    "optimizer.learning_rate=3e-3",
    "regularization={dropout: 0.6, l1: 1e-3, l2: 1e-2}",
    "seed=7",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, few_photographs: Path) -> Path:
    folder = tmp_path_factory.mktemp("heads")
    keras.utils.set_random_seed(1)
    convolution = keras.layers.Conv2D(8, 5, strides=4, activation="relu")
    rescaling = keras.layers.Rescaling(1 / 255)
    base = keras.Sequential([keras.Input((32, 32, 3)), rescaling, convolution])
    base.save(folder / "base.keras")
    (folder / "recipe.yaml").write_text(RECIPE.format(photographs=few_photographs))
    return folder


def trained(recipe: Recipe, heads: CompiledHeads | None) -> TrainedModel:
    splits = recipe.data.load()
    inputs = compute_head_inputs(recipe, splits) if heads else None
    return train_model(
        recipe,
        splits,
        on_epoch=lambda *_: None,
        show_progress=False,
        head_inputs=inputs,
        heads=heads,
    )


def head_weights(model: TrainedModel) -> Sequence[np.ndarray]:
    layers = model.model.layers
    return [np.asarray(w) for layer in layers[-3:] for w in layer.weights if w.trainable]


@pytest.mark.parametrize(
    "changes",
    [
        (),
        pytest.param(("optimizer={name: sgd, schedule: {plateau: {}}}",), marks=pytest.mark.slow),
    ],
)
def test_a_head_that_is_trained_again_is_that_of_a_run(
    folder: Path, changes: tuple[str, ...]
) -> None:
    recipe = load_recipe(folder / "recipe.yaml", changes).recipe
    heads = CompiledHeads()
    different = trained(load_recipe(folder / "recipe.yaml", (*changes, *OTHER)).recipe, heads)
    again = trained(recipe, heads)
    assert again.model is different.model
    run = trained(recipe, None)
    assert again.history.rows == run.history.rows
    for one, expected in zip(head_weights(again), head_weights(run), strict=True):
        np.testing.assert_array_equal(one, expected)


def test_a_head_is_trained_again_only_if_its_structure_is_the_same(folder: Path) -> None:
    recipe = load_recipe(folder / "recipe.yaml").recipe
    splits = recipe.data.load()
    inputs = compute_head_inputs(recipe, splits)
    heads = CompiledHeads()

    def model_of(*changes: str, steps: int = 8) -> keras.Model:
        changed = load_recipe(folder / "recipe.yaml", changes).recipe
        return heads.adjusted(changed, splits, inputs, steps).model

    first = model_of()
    assert model_of(*OTHER) is first
    for change in (
        "model.hidden=[4]",
        "model.activation=tanh",
        "regularization.dropout=0",
        "regularization.l1=0",
        "regularization.label_smoothing=0.1",
        "regularization.batch_norm=true",
        "optimizer.name=sgd",
        "optimizer.clipnorm=1",
        "optimizer.schedule={cosine: {warmup: 1}}",
        "training.epochs=4",
        "training.loss=focal_cross_entropy",
    ):
        assert model_of(change) is not first, change
    assert model_of(steps=9) is not first
    assert model_of() is first
    # The rates of this schedule are constants in the graph.
    exponential = "optimizer.schedule={exponential: {}}"
    assert model_of(exponential) is not model_of(exponential, "optimizer.learning_rate=1e-3")


def test_trainings_share_their_data_where_nothing_about_it_differs(folder: Path) -> None:
    recipe = load_recipe(folder / "recipe.yaml").recipe
    splits = recipe.data.load()
    inputs = compute_head_inputs(recipe, splits)
    heads = CompiledHeads()

    def data_of(*changes: str) -> TrainingData:
        changed = load_recipe(folder / "recipe.yaml", changes).recipe
        return heads.batches(changed, splits, inputs)

    first = data_of()
    assert data_of("optimizer.name=sgd", "regularization.dropout=0.6", "model.hidden=[4]") is first
    for change in ("seed=7", "data.batch_size=16", "training.class_weight=balanced"):
        assert data_of(change) is not data_of(), change
    assert heads.batches(recipe, splits, dataclasses.replace(inputs)) is not data_of()
