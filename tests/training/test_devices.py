"""Which devices a run uses, and in which precision."""

from __future__ import annotations

import keras
import pytest

from pipeline.errors import TrainingError
from pipeline.training import devices
from pipeline.training.training_config import RuntimeConfig


def test_the_cpu_trains_in_float32() -> None:
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


def test_a_device_that_the_machine_lacks_is_an_error() -> None:
    with pytest.raises(TrainingError) as error:
        devices.find_devices(RuntimeConfig(devices=("gpu:97",)))
    assert str(error.value).startswith(
        "runtime.devices: expected devices of one kind that this machine has ("
    )
    assert str(error.value).endswith("Received: gpu:97.")


def test_the_dtype_policy_is_set_in_the_scope_alone() -> None:
    before = keras.config.dtype_policy().name
    with devices.find_devices(RuntimeConfig(devices="cpu", precision="mixed_bfloat16")).scope():
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == before
