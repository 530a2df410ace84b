"""Several devices train as one does. The checks themselves are in logical_devices.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKS = Path(__file__).with_name("logical_devices.py")


def check(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, str(CHECKS), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,  # TensorFlow may hang at exit after an error in the middle of an epoch
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_several_devices_train_as_one_does(has_bfloat16: bool) -> None:
    policies = ["float64", "float32", "mixed_float16"]
    if has_bfloat16:
        policies.append("mixed_bfloat16")
    check("several_devices_train_as_one_does", *policies)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["each_device_drops_other_units", "a_resumed_training_is_bit_identical"]
)
def test_on_logical_devices(name: str) -> None:
    check(name)


@pytest.mark.slow
def test_runs_on_several_devices_equal_runs_on_one(
    in_empty_folder: Path, photographs: Path, weights: Path
) -> None:
    check("runs_on_several_devices_equal_runs_on_one", str(photographs), str(weights))
