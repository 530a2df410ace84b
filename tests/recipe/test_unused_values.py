"""Values without effect are warnings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.recipe.loader import dump_recipe

Loaded = Callable[..., Any]  # tests know the classes of the sections

DATA = "data: {source: digits}\n"
MLP = DATA + "model: {architecture: mlp}\n"
LINEAR = DATA + "model: {architecture: mlp, hidden: []}\n"
VGG = "data: {source: digits, image_size: [32, 32]}\nmodel: {architecture: transfer, base: VGG16}\n"
NO_HIDDEN = "has no effect: the model has no hidden layers. Set model.hidden."
NO_BASE = (
    "has no effect: it needs a model with a frozen base, model.architecture: transfer. "
    "Received mlp."
)
NO_AVERAGE = "has no effect without moving average. Set optimizer.use_ema: true."


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            LINEAR + "regularization: {batch_norm: true}\n",
            f"3:18: regularization.batch_norm: {NO_HIDDEN}",
        ),
        (
            LINEAR + "regularization: {dropout: 0.5}\n",
            f"3:18: regularization.dropout: {NO_HIDDEN}",
        ),
        (
            LINEAR.replace("[]", "[], activation: tanh"),
            f"2:40: model.activation: {NO_HIDDEN}",
        ),
        (
            VGG + "regularization: {batch_norm: true, dropout: 0.5}\n",
            f"3:18: regularization.batch_norm: {NO_HIDDEN}",
        ),
        (
            DATA + "model: {architecture: resnet}\nregularization: {batch_norm: true}\n",
            "3:18: regularization.batch_norm: has no effect: resnet always has batch "
            "normalization.",
        ),
        (
            DATA
            + "model: {architecture: sequential, layers: [Flatten]}\n"
            + "regularization: {dropout: 0.3}\n",
            "3:18: regularization.dropout: has no effect with sequential. Add Dropout to "
            "model.layers.",
        ),
        (
            LINEAR + "training: {compare_optimizers: [{name: sgd}]}\n",
            "3:12: training.compare_optimizers: has no effect without surface in training.record.",
        ),
        (
            MLP + "tracking: {promote_on: validation}\n",
            "3:12: tracking.promote_on: has no effect without tracking.promote: better.",
        ),
        (
            MLP + "training: {views: 3}\n",
            f"3:12: training.views: {NO_BASE}",
        ),
        (
            VGG + "training: {views: 3}\n",
            "3:12: training.views: has no effect without data.augmentation.",
        ),
        (
            VGG.replace("VGG16", "VGG16, train_base: true") + "training: {views: 3}\n",
            "3:12: training.views: has no effect: it needs a frozen base, model.train_base: false.",
        ),
        (
            MLP + "runtime: {cache_gb: 3}\n",
            f"3:11: runtime.cache_gb: {NO_BASE}",
        ),
        (
            MLP + "runtime: {engine: openvino}\n",
            f"3:11: runtime.engine: {NO_BASE}",
        ),
        (
            MLP + "runtime: {storage: 's3://bucket'}\n",
            f"3:11: runtime.storage: {NO_BASE}",
        ),
        (
            MLP + "runtime: {precision: int8}\n",
            f"3:11: runtime.precision: {NO_BASE}",
        ),
        (
            MLP + "training: {early_stopping: {patience: null, min_delta: 0.1}}\n",
            "3:45: training.early_stopping.min_delta: has no effect if early_stopping.patience is "
            "null.",
        ),
        (
            VGG
            + "training:\n"
            + "  fine_tune: {from: 3, learning_rate: 1e-3, optimizer: {learning_rate: 1}}\n",
            "4:24: training.fine_tune.learning_rate: has no effect with "
            "training.fine_tune.optimizer. Set training.fine_tune.optimizer.learning_rate.",
        ),
        (
            VGG
            + "training:\n"
            + "  fine_tune: {from: 3, optimizer: {learning_rate: 1, ema_momentum: 0.5}}\n",
            f"4:54: training.fine_tune.optimizer.ema_momentum: {NO_AVERAGE}",
        ),
        (
            MLP + "optimizer: {ema_momentum: 0.9}\n",
            f"3:13: optimizer.ema_momentum: {NO_AVERAGE}",
        ),
        (
            MLP + "optimizer: {ema_overwrite_frequency: 9}\n",
            f"3:13: optimizer.ema_overwrite_frequency: {NO_AVERAGE}",
        ),
        (
            MLP + "optimizer: {use_ema: true, ema_momentum: 0}\n",
            "3:13: optimizer.use_ema: has no effect: with ema_momentum 0, the moving average is "
            "the last value.",
        ),
        (
            MLP + "optimizer: {name: sgd, nesterov: true}\n",
            "3:24: optimizer.nesterov: has no effect without momentum. Set optimizer.momentum.",
        ),
        (
            MLP + "optimizer: {name: adafactor, relative_step: false}\n",
            "3:30: optimizer.relative_step: has no effect: Keras limits the learning rate to "
            "1/√step with either value.",
        ),
        (
            MLP + "optimizer: {name: muon, exclude_embeddings: false}\n",
            "3:25: optimizer.exclude_embeddings: has no effect: the model has no embeddings.",
        ),
        (
            MLP + "optimizer: {schedule: {piecewise: {boundaries: [5, 10], factors: [1, 2]}}}\n",
            "3:52: optimizer.schedule.piecewise.boundaries.1: has no effect: training ends after "
            "10 epochs.",
        ),
        (
            MLP + "optimizer: {schedule: {plateau: {min_lr: 1e-3}}}\n",
            "3:24: optimizer.schedule.plateau: has no effect: min_lr is not below the learning "
            "rate, 0.001.",
        ),
        (
            MLP + "optimizer: {schedule: {plateau: {patience: 9}}}\n",
            "3:34: optimizer.schedule.plateau.patience: has no effect: training ends after 10 "
            "epochs, before the first reduction.",
        ),
    ],
)
def test_a_value_without_effect_is_a_warning(
    loaded: Loaded, tmp_path: Path, text: str, warning: str
) -> None:
    assert [str(found) for found in loaded(text).warnings] == [f"{tmp_path}/recipe.yaml:{warning}"]


@pytest.mark.parametrize(
    "text",
    [
        LINEAR + "regularization: {l1: 0.1, l2: 0.1, label_smoothing: 0.1, initializer: zeros}\n",
        MLP + "regularization: {batch_norm: true, dropout: 0.5}\n",
        VGG.replace("VGG16", "VGG16, hidden: [8]") + "regularization: {batch_norm: true}\n",
        VGG.replace("32]}", "32], augmentation: [random_zoom: {}]}") + "training: {views: 3}\n",
        VGG + "runtime: {cache_gb: 3, engine: openvino, precision: int8}\n",
        MLP + "training: {early_stopping: {min_delta: 0.1}}\n",
        MLP + "optimizer: {use_ema: true, ema_momentum: 0.9, ema_overwrite_frequency: 9}\n",
        MLP + "optimizer: {name: sgd, nesterov: true, momentum: 0.1}\n",
        MLP + "optimizer: {name: muon}\n",
        MLP + "optimizer: {schedule: {piecewise: {boundaries: [5, 9.5], factors: [1, 2]}}}\n",
        MLP + "optimizer: {schedule: {plateau: {patience: 8, min_lr: 9e-4}}}\n",
    ],
)
def test_a_value_with_an_effect_is_not_a_warning(loaded: Loaded, text: str) -> None:
    assert loaded(text).warnings == ()


@pytest.mark.parametrize("text", [LINEAR, MLP, VGG])
def test_defaults_that_are_written_down_are_not_a_warning(loaded: Loaded, text: str) -> None:
    assert loaded(dump_recipe(loaded(text).recipe, {})).warnings == ()


def test_warnings_are_in_the_order_of_the_recipe(loaded: Loaded) -> None:
    text = (
        "training: {views: 3}\n" + MLP + "tuning: {space: {data.split_seed: {choice: [1]}}}\n"
        "optimizer: {ema_momentum: 0.9}\n"
    )
    assert [found.path for found in loaded(text).warnings] == [
        "training.views",
        "tuning.space.data.split_seed",
        "optimizer.ema_momentum",
    ]


SPACE = "tuning:\n  space:\n"


def test_a_value_of_a_search_without_effect_is_a_warning(loaded: Loaded, tmp_path: Path) -> None:
    text = LINEAR + SPACE + "    regularization.batch_norm: {choice: [false, true]}\n"
    assert [str(found) for found in loaded(text).warnings] == [
        f"{tmp_path}/recipe.yaml:5:49: tuning.space.regularization.batch_norm: {NO_HIDDEN}"
    ]


@pytest.mark.parametrize(
    "space",
    [
        "    regularization.batch_norm: {choice: [false, true]}\n"
        "    model.hidden: {choice: [[], [8]]}\n",
        "    model: {choice: [{architecture: lenet}, {architecture: mlp}]}\n",
    ],
)
def test_a_value_that_has_an_effect_in_some_trials_is_not_a_warning(
    loaded: Loaded, space: str
) -> None:
    text = LINEAR + "regularization: {dropout: 0.5}\n" + SPACE
    if "model.hidden" in space:
        assert loaded(text + space).warnings == ()
    else:
        text = text.replace("digits}", "digits, image_size: [28, 28]}")
        assert loaded(text + space).warnings == ()
