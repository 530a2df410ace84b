"""Folds on cached features, against folds whose features are computed anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import keras
import pytest

from pipeline.cluster.cluster import Lost
from pipeline.data.splits import Splits
from pipeline.errors import TrainingError
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.loader import load_recipe
from pipeline.stages.cross_validate import FoldInputs, cross_validate, folds_of, train_fold
from pipeline.stages.head_trainer import CompiledHeads
from pipeline.stages.train_model import compute_pool_inputs
from pipeline.tracking.run_logger import RunLogger

RECIPE = """\
data:
  source: image_folder
  path: '{photographs}'
  image_size: [32, 32]
  augmentation: [{{random_flip: {{}}}}]
model: {{architecture: transfer, base: base.keras, hidden: [8]}}
regularization: {{dropout: 0.2}}
optimizer: {{learning_rate: 1e-2, use_ema: true, ema_momentum: 0.9}}
training: {{epochs: 4, views: 2, folds: 3}}
"""


@pytest.fixture
def recipe(few_photographs: Path, in_empty_folder: Path) -> Recipe:
    keras.utils.set_random_seed(1)
    convolution = keras.layers.Conv2D(8, 5, strides=4, activation="relu")
    rescaling = keras.layers.Rescaling(1 / 255)
    keras.Sequential([keras.Input((32, 32, 3)), rescaling, convolution]).save("base.keras")
    Path("recipe.yaml").write_text(RECIPE.format(photographs=few_photographs))
    return load_recipe(Path("recipe.yaml"), ("runtime.precision=float32",)).recipe


def metrics_of(recipe: Recipe, splits: Splits, inputs: Any) -> list[dict[str, float]]:
    heads, evaluated = CompiledHeads(), []
    for fold in folds_of(recipe, splits):
        _, metrics = train_fold(
            recipe,
            splits,
            fold,
            pool_inputs=inputs,
            on_epoch=lambda *_: None,
            heads=heads,
        )
        evaluated.append(metrics)
    return evaluated


class LosingCluster:
    """Loses every piece."""

    at_once = 2

    def results(
        self, make_worker: Any, pieces: Iterator[Any], *, retries: int = 0
    ) -> Iterator[Any]:
        for piece in pieces:
            yield piece, Lost("A process died twice.", memory=False)


def test_a_fold_whose_process_dies_is_an_error(in_empty_folder: Path) -> None:
    Path("recipe.yaml").write_text(
        "data: {source: digits}\nmodel: {architecture: mlp}\ntraining: {folds: 3}\n"
    )
    loaded = load_recipe(Path("recipe.yaml"))
    inputs, run_logger = FoldInputs(loaded.recipe.data.load(), None), Mock(spec=RunLogger)
    with pytest.raises(TrainingError) as error:
        cross_validate(loaded, inputs, run_logger, Path("folds"), LosingCluster())
    assert str(error.value) == (
        "Fold 1 could not be trained. A process died twice. Use fewer --workers, or a machine with "
        "more memory."
    )


@pytest.mark.slow
def test_folds_on_cached_features_are_those_on_features_of_their_own(recipe: Recipe) -> None:
    splits = recipe.data.load()
    selected = metrics_of(recipe, splits, compute_pool_inputs(recipe, splits))
    alone = metrics_of(recipe, splits, None)
    assert len({metrics["log_loss"] for metrics in selected}) == 3
    for one, other in zip(selected, alone, strict=True):
        assert one["log_loss"] == pytest.approx(other["log_loss"], abs=2e-2)


def test_a_head_that_is_trained_again_starts_anew(recipe: Recipe) -> None:
    splits = recipe.data.load()
    inputs = compute_pool_inputs(recipe, splits)
    fold = folds_of(recipe, splits)[0]
    heads, metrics = CompiledHeads(), []
    for _ in range(2):
        _, each = train_fold(
            recipe,
            splits,
            fold,
            pool_inputs=inputs,
            on_epoch=lambda *_: None,
            heads=heads,
        )
        metrics.append(each)
    assert metrics[0] == metrics[1]


def test_images_that_are_mixed_are_not_mixed_across_folds(recipe: Recipe) -> None:
    mixed = recipe.model_copy(
        update={
            "data": load_recipe(
                Path("recipe.yaml"), ("data.augmentation=[{mix_up: {}}]",)
            ).recipe.data
        }
    )
    assert compute_pool_inputs(mixed, mixed.data.load()) is None
