"""Compare the final log loss of training on one, two and three devices, with batch normalization.

    python benchmarks/devices.py DATA [NUMBER...]

DATA is a directory with mnist.npz, hymenoptera_data and weights/resnet18_imagenet.keras. The
numbers select combinations of data, batch size and recipe. The devices are parts of the CPU, so
that this says whether training on several is right, not how fast it is.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from interleaved import machine

from pipeline.recipe.loader import load_recipe
from pipeline.training.devices import find_devices
from pipeline.training.training_config import RuntimeConfig
from pipeline.workflows.single_run import run

MAX_DEVICES = 3
MNIST_IMAGES = 3000

DIGITS = {"source": "digits"}
DIGITS_28 = {"source": "digits", "image_size": [28, 28]}
MLP = {"architecture": "mlp", "hidden": [64]}
LENET = {"architecture": "lenet"}
LENET_MAX = {"architecture": "lenet", "activation": "relu", "pooling": "max"}


def combinations(data: Path, mnist: Path) -> dict[str, dict[str, Any]]:
    """Return recipes by description, without what all of them share."""
    mnist_data = {"source": "mnist", "path": str(mnist)}
    photographs = {
        "source": "image_folder",
        "path": str(data / "hymenoptera_data"),
        "image_size": [64, 64],
    }
    head = {
        "architecture": "transfer",
        "base": str(data / "weights" / "resnet18_imagenet.keras"),
        "hidden": [32],
    }
    fine_tuned = {
        "epochs": 4,
        "fine_tune": {"from": 12, "epochs": 1, "learning_rate": 1e-4},
    }
    clipped = {"name": "sgd", "global_clipnorm": 0.5, "gradient_accumulation_steps": 3}
    cosine = {"learning_rate": 5e-4, "schedule": {"cosine": {}}}
    averaged = {"use_ema": True, "ema_momentum": 0.9}
    return {
        "digits, MLP, batch 64": _recipe(DIGITS, 64, MLP),
        "digits, MLP, batch 33": _recipe(DIGITS, 33, MLP),
        "digits, MLP, batch all": _recipe(DIGITS, "all", MLP, epochs=20),
        "digits, MLP, MixUp, EMA, batch 50": _recipe(
            {**DIGITS, "augmentation": [{"mix_up": {}}]}, 50, MLP, optimizer=averaged
        ),
        "digits, LeNet with max pooling, batch 101": _recipe(
            DIGITS_28, 101, LENET_MAX, epochs=8, optimizer=cosine
        ),
        "digits, LeNet, clipping, accumulation, batch 32": _recipe(
            DIGITS_28, 32, LENET, optimizer=clipped
        ),
        "MNIST, MLP, L2, batch 200": _recipe(
            mnist_data, 200, MLP, regularization={"batch_norm": True, "l2": 1e-4}
        ),
        "MNIST, LeNet, batch 127": _recipe(mnist_data, 127, LENET, epochs=3),
        "ants/bees, features, batch 32": _recipe(photographs, 32, head, epochs=10),
        "ants/bees, features, sigmoid, batch 17": _recipe(
            photographs, 17, head, training={"epochs": 10, "loss": "binary_cross_entropy"}
        ),
        "ants/bees, fine-tuning, batch 32": _recipe(photographs, 32, head, training=fine_tuned),
    }


def _recipe(
    data: dict[str, Any], batch_size: int | str, model: dict[str, Any], **sections: Any
) -> dict[str, Any]:
    epochs = sections.pop("epochs", 4)
    return {
        "data": {**data, "batch_size": batch_size},
        "model": model,
        "regularization": {"batch_norm": True},
        "training": {"epochs": epochs},
        "tracking": {"verify_model": False},
        **sections,
    }


def log_loss(recipe: dict[str, Any], device_count: int) -> float:
    """Run a recipe on so many parts of the CPU and return its final validation log loss."""
    names = [f"cpu:{i}" for i in range(device_count)]
    path = Path("recipe.yaml")
    path.write_text(
        json.dumps({**recipe, "runtime": {"devices": names, "precision": "float32"}}),
        encoding="utf-8",
    )
    return run(load_recipe(path)).metrics["val_log_loss"]


def main() -> None:
    """Print one row for each combination."""
    data = Path(sys.argv[1]).resolve()
    # The CPU can be divided only before its first use.
    find_devices(RuntimeConfig(devices=tuple(f"cpu:{i}" for i in range(MAX_DEVICES))))
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        os.environ["PIPELINE_CACHE"] = str(Path(directory, "cache"))
        mnist = Path(directory, "mnist.npz")
        with np.load(data / "mnist.npz") as arrays:
            np.savez(mnist, **{name: arrays[name][:MNIST_IMAGES] for name in arrays.files})
        print(machine(), flush=True)
        print("| combination | 1 device | 2 | 3 | largest difference |")
        print("| --- | --- | --- | --- | --- |")
        recipes = list(combinations(data, mnist).items())
        chosen = [int(number) - 1 for number in sys.argv[2:]] or range(len(recipes))
        for i in chosen:
            description, recipe = recipes[i]
            losses = [log_loss(recipe, count) for count in range(1, MAX_DEVICES + 1)]
            largest = max(abs(loss - losses[0]) for loss in losses)
            values = " | ".join(f"{loss:.5f}" for loss in losses)
            print(f"| {description} | {values} | {largest:.1e} |", flush=True)


if __name__ == "__main__":
    main()
