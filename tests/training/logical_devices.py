"""Checks on logical CPU devices: python logical_devices.py CHECK [ARGUMENT...].

Each needs a process of its own, because TensorFlow divides the CPU only before its first use.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from mlflow import MlflowClient
from pydantic import TypeAdapter

from pipeline.data import augmentation
from pipeline.data.batches import evaluation_batches, steps_per_epoch, training_batches
from pipeline.data.digits import DigitsConfig
from pipeline.data.splits import ArrayImages, Split
from pipeline.models.layers import OutputLayer
from pipeline.recipe.loader import load_recipe
from pipeline.tasks.classification import label_encoding, running_metrics
from pipeline.tasks.label_encoding import LabelEncoding
from pipeline.training import checkpoints, devices, optimizers
from pipeline.training.callbacks import EpochMetrics
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.data_parallel import DataParallel
from pipeline.training.devices import Devices
from pipeline.training.phases import History, Phase, fit_phases
from pipeline.training.training_config import EarlyStoppingConfig, RuntimeConfig, TrainingConfig
from pipeline.training.training_data import TrainingData
from pipeline.workflows.single_run import run

SOFTMAX = OutputLayer(10, "softmax")
Policy = Literal["float64", "float32", "mixed_bfloat16", "mixed_float16"]


@dataclasses.dataclass(frozen=True)
class Case:
    """A training of two epochs on the first digits, on one device and on several."""

    images: int
    batch_size: int | Literal["all"]
    device_counts: tuple[int, ...]
    optimizer: dict[str, Any]
    output: OutputLayer = SOFTMAX
    augmentation: Sequence[Any] = ()
    sampling: Literal["natural", "balanced"] = "natural"
    class_weights: tuple[float, ...] | None = None
    policy: Policy = "float64"
    tolerance: float = 1e-8  # relative

    @property
    def classes(self) -> int:
        return 10 if self.output == SOFTMAX else 2

    @property
    def encoding(self) -> LabelEncoding:
        return label_encoding(self.classes, self.output)


# In float64, where rounding does not hide a mistake, if TensorFlow has the operations in it.
CASES = (
    Case(17, 5, (2, 3), {"learning_rate": 1.0}),  # saturates the softmax
    Case(
        64,
        32,
        (3,),
        {"name": "sgd", "global_clipnorm": 0.1, "gradient_accumulation_steps": 3},
    ),
    Case(
        17,
        "all",
        (4,),
        {"name": "adamw"},
        output=OutputLayer(1, "sigmoid"),
        class_weights=(0.4, 3.0),
    ),
    Case(
        23,
        9,
        (3,),
        {"use_ema": True, "ema_momentum": 0.7},
        augmentation=({"mix_up": {}},),
        sampling="balanced",
        class_weights=tuple(0.2 * i for i in range(1, 11)),
        policy="float32",
        tolerance=1e-3,
    ),
    Case(33, 32, (4,), {"name": "sgd"}, policy="mixed_bfloat16", tolerance=0.03),
    Case(37, 10, (2,), {"name": "sgd"}, policy="mixed_float16", tolerance=0.01),
)
MAX_DEVICES = 4


def devices_of(count: int) -> Devices:
    return devices.find_devices(RuntimeConfig(devices=tuple(f"cpu:{i}" for i in range(count))))


@functools.cache
def first_digits(count: int, classes: int) -> Split:
    everything = DigitsConfig(source="digits").load().train
    chosen = np.flatnonzero(everything.labels < classes)[:count]
    return Split(
        ArrayImages(everything.images.read(chosen)),
        everything.labels[chosen],
        [everything.names[i] for i in chosen],
        everything.image_digests[chosen],
        digest=f"{count} digits",
    )


def network(case: Case, *, dropout: float = 0.0) -> keras.Model:
    """Return a network with a nested one, batch normalization and a penalty on weights."""
    keras.utils.set_random_seed(7)
    keras.config.set_floatx("float64" if case.policy == "float64" else "float32")
    keras.config.set_dtype_policy(case.policy)
    inner = keras.Input((6, 6, 4))
    y = keras.layers.Activation("relu")(keras.layers.BatchNormalization(momentum=0.5)(inner))
    block = keras.Model(inner, keras.layers.MaxPooling2D(2)(y), name="block")
    pixels = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 255)(pixels)
    x = keras.layers.Conv2D(4, 3, use_bias=False, kernel_regularizer="l2")(x)
    x = keras.layers.Flatten()(block(x))
    x = keras.layers.Dense(8, use_bias=False)(x)
    x = keras.layers.Activation("tanh")(keras.layers.BatchNormalization()(x))
    x = keras.layers.Dropout(dropout)(x)
    output = keras.layers.Dense(
        case.output.units, activation=case.output.activation, dtype=keras.config.floatx()
    )
    return keras.Model(pixels, output(x))


def fit(case: Case, model: keras.Model, device_count: int, **changes: Any) -> History:
    train, validation = first_digits(case.images, case.classes), first_digits(13, case.classes)
    sections = TypeAdapter(augmentation.Augmentation).validate_python(case.augmentation)
    layers = augmentation.build_augmentation(sections, image_size=(8, 8))

    def training(first_epoch: int, epochs: int) -> tf.data.Dataset:
        return training_batches(
            train,
            encoding=case.encoding,
            batch_size=case.batch_size,
            augmentation=layers,
            seed=7,
            first_epoch=first_epoch,
            epochs=epochs,
            sampling=case.sampling,
            class_weights=(
                None if case.class_weights is None else np.array(case.class_weights, np.float32)
            ),
        )

    batches = TrainingData(
        training=training,
        validation=evaluation_batches(validation, encoding=case.encoding, batch_size=5),
        steps_per_epoch=steps_per_epoch(train, case.batch_size),
    )
    config = TypeAdapter(optimizers.AnyOptimizer).validate_python(case.optimizer)
    arguments: dict[str, Any] = {
        "training": TrainingConfig(
            loss="cross_entropy" if case.output == SOFTMAX else "binary_cross_entropy",
            top_k=None if case.policy == "float64" else 3,
        ),
        "monitor": "val_log_loss",
        "loss_metric": "val_log_loss",
        "output_scale": 1.0,
        "on_epoch": lambda epoch, row, seconds: None,
    }
    return fit_phases(
        [Phase(model, batches, epochs=2, optimizer=config)],
        label_smoothing=0.1,
        metrics=lambda: running_metrics(
            case.classes, case.output, top_k=None if case.policy == "float64" else 3
        ),
        devices=devices_of(device_count),
        **(arguments | changes),
    )


def several_devices_train_as_one_does(*policies: str) -> None:
    """Compare the metrics of each epoch, the weights and the moving statistics."""
    for case in (case for case in CASES if case.policy in policies):
        expected_model = network(case)
        expected = fit(case, expected_model, 1)
        for device_count in case.device_counts:
            model = network(case)
            history = fit(case, model, device_count)
            description = f"{case} on {device_count} devices"
            assert history.best_epoch == expected.best_epoch, description
            for row, expected_row in zip(history.rows, expected.rows, strict=True):
                np.testing.assert_allclose(
                    [row[name] for name in expected_row],
                    list(expected_row.values()),
                    rtol=case.tolerance,
                    err_msg=f"{list(expected_row)}: {description}",
                )
            for weight, expected_weight in zip(model.weights, expected_model.weights, strict=True):
                expected_values = expected_weight.numpy()
                np.testing.assert_allclose(
                    weight.numpy(),
                    expected_values,
                    rtol=0,
                    atol=case.tolerance * np.abs(expected_values).max(),
                    err_msg=f"{weight.path}: {description}",
                )


def each_device_drops_other_units() -> None:
    units = keras.Input((1000,))
    model = keras.Model(units, keras.layers.Dropout(0.25, seed=1)(units))
    parallel = DataParallel(model, devices_of(2).strategy)
    outputs = tf.function(parallel)(tf.ones((2, 1000)), training=True).numpy()
    assert not np.array_equal(outputs[0], outputs[1])
    np.testing.assert_allclose(np.mean(outputs == 0, axis=1), 0.25, atol=0.06)


def a_resumed_training_is_bit_identical() -> None:
    checkpoints._MAX_TIME_FRACTION = math.inf  # write each checkpoint
    optimizer = {"name": "nadam", "learning_rate": 0.05, "use_ema": True, "ema_momentum": 0.9}
    case = Case(37, 10, (2,), optimizer, policy="float32")

    def train(directory: Path, until: int | None) -> keras.Model:
        model = network(case, dropout=0.3)

        def on_epoch(epoch: int, row: EpochMetrics, seconds: float) -> None:
            if epoch == until:
                raise KeyboardInterrupt

        stopping = EarlyStoppingConfig(monitor="val_log_loss", patience=2)
        try:
            fit(
                case,
                model,
                2,
                training=TrainingConfig(early_stopping=stopping),
                on_epoch=on_epoch,
                checkpoints=Checkpoints(directory),
            )
        except KeyboardInterrupt:
            assert until
        return model

    with tempfile.TemporaryDirectory() as directory:
        expected = train(Path(directory, "whole"), until=None)
        train(Path(directory, "parts"), until=1)
        resumed = train(Path(directory, "parts"), until=None)
    for value, expected_value in zip(resumed.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected_value)


def runs_on_several_devices_equal_runs_on_one(photographs: str, weights: str) -> None:
    """Compare recipes with batch normalization: one on pixels, one on features and fine-tuned."""
    pixels = {
        "data": {"source": "digits", "batch_size": 100},
        "model": {"architecture": "mlp", "hidden": [32]},
        "regularization": {"batch_norm": True, "l2": 1e-4},
        "training": {"epochs": 2},
    }
    transfer = {
        "data": {
            "source": "image_folder",
            "path": photographs,
            "image_size": [32, 32],
            "batch_size": 33,
        },
        "model": {
            "architecture": "transfer",
            "base": f"{weights}/resnet18_imagenet.keras",
            "hidden": [16],
        },
        "regularization": {"batch_norm": True},
        "training": {
            "epochs": 3,
            "loss": "binary_cross_entropy",
            "fine_tune": {"from": 12, "epochs": 1, "learning_rate": 1e-4},
        },
    }
    for recipe, count in ((pixels, 2), (transfer, 3)):
        expected, losses = (
            run_recipe({**recipe, "runtime": {"devices": names, "precision": "float32"}})
            for names in (["cpu:0"], [f"cpu:{i}" for i in range(count)])
        )
        assert len(losses) == len(expected)
        np.testing.assert_allclose(losses, expected, atol=1e-3)


def run_recipe(recipe: dict[str, Any]) -> list[float]:
    """Return the validation loss of each epoch and the final log loss."""
    path = Path("recipe.yaml")
    path.write_text(json.dumps({**recipe, "tracking": {"verify_model": False}}))
    result = run(load_recipe(path))
    history = MlflowClient(result.tracking_uri).get_metric_history(result.run_id, "epoch/val_loss")
    assert len(history) == result.epochs
    return [*(metric.value for metric in history), result.metrics["val_log_loss"]]


if __name__ == "__main__":
    devices_of(MAX_DEVICES)
    globals()[sys.argv[1]](*sys.argv[2:])
