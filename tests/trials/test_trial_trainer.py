"""What the trials of one process share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest

from pipeline.errors import DataError
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.loader import load_recipe
from pipeline.trials.trial_trainer import TrialTrainer

DIGITS = """\
data: {source: digits, batch_size: 256}
model: {architecture: mlp, hidden: [16]}
optimizer: {learning_rate: 1e-2}
training: {epochs: 2}
"""
PHOTOGRAPHS = """\
data: {{source: image_folder, path: '{photographs}', image_size: [32, 32]}}
model: {{architecture: transfer, base: base.keras, hidden: [8]}}
training: {{epochs: 2}}
"""


def recipe(text: str, *overrides: str) -> Recipe:
    Path("recipe.yaml").write_text(text)
    return load_recipe(Path("recipe.yaml"), overrides).recipe


def metrics(trainer: TrialTrainer, one: Recipe, *names: str) -> dict[str, float]:
    (metrics,) = trainer.evaluate(
        one, on_epoch=lambda epoch, row, seconds: None, epoch_metrics=names
    )
    return metrics


def test_recipes_with_the_same_images_share_them(in_empty_folder: Path) -> None:
    trainer = TrialTrainer()
    splits = trainer.splits(recipe(DIGITS))
    assert trainer.splits(recipe(DIGITS, "data.batch_size=32", "model.hidden=[8]")) is splits
    assert trainer.splits(recipe(DIGITS, "data.split_seed=1")) is not splits


def test_the_images_used_least_recently_are_dropped(in_empty_folder: Path) -> None:
    trainer = TrialTrainer()
    first = trainer.splits(recipe(DIGITS))
    second = trainer.splits(recipe(DIGITS, "data.split_seed=1"))
    for seed in (2, 3, 4):
        assert trainer.splits(recipe(DIGITS)) is first
        trainer.splits(recipe(DIGITS, f"data.split_seed={seed}"))
    assert trainer.splits(recipe(DIGITS)) is first
    assert trainer.splits(recipe(DIGITS, "data.split_seed=1")) is not second


def test_earlier_trials_do_not_change_later_ones(in_empty_folder: Path) -> None:
    trainer = TrialTrainer()
    metrics(trainer, recipe(DIGITS, "model.hidden=[8]", "data.batch_size=64"))
    again = metrics(trainer, recipe(DIGITS))
    assert again == metrics(TrialTrainer(), recipe(DIGITS))
    assert again["val_accuracy"] > 0.3
    assert not any(name.startswith("test_") for name in again)


def test_a_trial_whose_weights_would_never_change_fails(in_empty_folder: Path) -> None:
    with pytest.raises(DataError, match="the weights would never change: an update takes 11 steps"):
        metrics(TrialTrainer(), recipe(DIGITS, "optimizer.gradient_accumulation_steps=11"))


def test_a_trial_without_validation_images_fails(in_empty_folder: Path) -> None:
    with pytest.raises(DataError) as caught:
        metrics(TrialTrainer(), recipe(DIGITS, "data.validation=0"))
    assert str(caught.value) == (
        "data.validation: a search needs a validation split. Set it above 0."
    )


def test_each_epoch_is_reported(in_empty_folder: Path) -> None:
    epochs: list[Any] = []
    (found,) = TrialTrainer().evaluate(
        recipe(DIGITS), on_epoch=lambda epoch, row, seconds: epochs.append((epoch, row))
    )
    assert [epoch for epoch, _ in epochs] == [1, 2]
    best = epochs[int(found["best_epoch"]) - 1][1]
    assert found["val_log_loss"] == pytest.approx(best["val_log_loss"], abs=1e-5)
    assert found["val_accuracy"] == pytest.approx(best["val_accuracy"])


def test_heads_on_the_same_base_share_its_features(
    few_photographs: Path, in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convolution = keras.layers.Conv2D(8, 5, strides=4, activation="relu")
    keras.Sequential([keras.Input((32, 32, 3)), convolution]).save("base.keras")
    text, trainer = PHOTOGRAPHS.format(photographs=few_photographs), TrialTrainer()
    first = recipe(text)
    second = recipe(text, "model.hidden=[4]", "optimizer.learning_rate=0.1")
    weighted = recipe(text, "training.class_weight={ants: 30}", "data.sampling=balanced")
    plain = metrics(trainer, first, "val_recall/ants")
    Path("base.keras").unlink()  # so that features cannot be computed again
    monkeypatch.setenv("PIPELINE_CACHE", str(in_empty_folder / "another"))
    assert metrics(trainer, second)["val_accuracy"] > 0.4
    recall = metrics(trainer, weighted, "val_recall/ants")["val_recall/ants"]
    assert recall > plain["val_recall/ants"]
