"""Devices: one, none that is asked for, and two halves of a CPU."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pipeline.errors import TrainingError
from pipeline.training import devices
from pipeline.training.training_config import RuntimeConfig

# TensorFlow divides a CPU only before its first use, hence the process of their own.
ON_TWO_DEVICES = """
import json, sys
from pathlib import Path
from pipeline.recipe.loader import load_recipe
from pipeline.workflows.single_run import run

Path("recipe.yaml").write_text(sys.argv[1])
result = run(load_recipe(Path("recipe.yaml"), tuple(sys.argv[2:])))
print(json.dumps(result.metrics))
"""
RECIPE = """
data: {source: digits, batch_size: 64}
model: {architecture: mlp, hidden: [64]}
optimizer: {learning_rate: 5e-3}
training: {epochs: 8}
"""
EACH_EXAMPLE_ONCE = """
import numpy as np, tensorflow as tf
from pipeline.data.digits import DigitsConfig
from pipeline.data.batches import training_batches
from pipeline.training import devices
from pipeline.training.training_config import RuntimeConfig

found = devices.find_devices(RuntimeConfig(devices=("cpu:0", "cpu:1")))
split = DigitsConfig(source="digits").load().train
batches = training_batches(split, classes=10, output="softmax", batch_size=100, augmentation=(),
                           seed=1, epochs=1)
seen = []
with found.scope():
    for images, _ in found.strategy.experimental_distribute_dataset(batches):
        parts = found.strategy.experimental_local_results(images)
        assert len(parts) == 2
        seen += [image.tobytes() for part in parts for image in part.numpy()]
every = [image.tobytes() for image in split.images.read(np.arange(len(split)))]
assert sorted(seen) == sorted(every)
"""


def test_without_a_gpu_it_is_the_cpu_in_float32() -> None:
    found = devices.find_devices(RuntimeConfig(devices="cpu"))
    assert (found.names, found.precision, found.strategy, found.on_gpu) == (
        ("CPU:0",),
        "float32",
        None,
        False,
    )
    assert found.description.endswith("Using CPU:0, in float32.")


def test_the_precision_of_the_recipe_is_used() -> None:
    found = devices.find_devices(RuntimeConfig(devices="cpu", precision="mixed_bfloat16"))
    assert found.precision == "mixed_bfloat16"


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(TrainingError) as refused:
        devices.find_devices(RuntimeConfig(devices=("gpu:97",)))
    assert str(refused.value).startswith(
        "runtime.devices: expected devices of one kind that this machine has ("
    )
    assert str(refused.value).endswith("Received: gpu:97.")


def test_two_devices_learn_as_one_does(in_empty_folder: object) -> None:
    def metrics(*arguments: str) -> dict[str, float]:
        command = [sys.executable, "-c", ON_TWO_DEVICES, RECIPE, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    one = metrics()
    two = metrics("runtime.devices=[cpu:0, cpu:1]")
    assert two["val_accuracy"] == pytest.approx(one["val_accuracy"], abs=0.01)
    assert two["val_log_loss"] == pytest.approx(one["val_log_loss"], rel=0.05)


def test_no_example_is_lost_or_seen_twice_on_two_devices(in_empty_folder: object) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EACH_EXAMPLE_ONCE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
