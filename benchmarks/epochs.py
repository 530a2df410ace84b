"""Small networks on MNIST: the time of an epoch here and in bare Keras, on the same arrays.

    python benchmarks/epochs.py --mnist PATH/mnist.npz --network lenet

Ours is `recipes/mnist_NETWORK.yaml`, lenet without its augmentation, as `pipeline run` trains it:
shuffled, validated, with every callback, logged to MLflow. Bare Keras is `model.fit` on NumPy
arrays with nothing around it. The first epoch, which traces the graph, is not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from interleaved import last_line, machine, spread

RECIPES = Path(__file__).parent.parent / "recipes"
RATES = {"lenet": 2e-3, "mlp": 1e-3}


def ours(network: str, mnist: str, epochs: int) -> dict[str, float]:
    """Return the seconds of an epoch and the test accuracy of a run of the recipe."""
    import mlflow

    from pipeline.recipe.loader import load_recipe
    from pipeline.workflows.single_run import run

    changes = (f"data.path={mnist}", "data.augmentation=[]", f"training.epochs={epochs}")
    with tempfile.TemporaryDirectory() as folder:
        store = f"tracking.uri=sqlite:///{folder}/mlflow.db"
        result = run(load_recipe(RECIPES / f"mnist_{network}.yaml", (*changes, store)))
        client = mlflow.MlflowClient(result.tracking_uri)
        seconds = [m.value for m in client.get_metric_history(result.run_id, "epoch/seconds")]
    return {
        "seconds": statistics.median(seconds[1:]),
        "accuracy": result.metrics["test_accuracy"],
    }


def bare(network: str, mnist: str, epochs: int) -> dict[str, float]:
    """Return the same of the network written in Keras, on the same split."""
    import time

    import keras
    import numpy as np

    from pipeline.data import mnist as source

    keys = source.MnistConfig(source="mnist", path=mnist)
    splits = keys.load()
    arrays = {
        name: (split.images.read(np.arange(len(split))), keras.utils.to_categorical(split.labels))
        for name, split in splits.named().items()
    }
    keras.utils.set_random_seed(42)
    layers = keras.layers
    relu = {"activation": "relu", "kernel_initializer": "he_normal"}
    networks = {
        "lenet": [
            layers.ZeroPadding2D(2),
            layers.Conv2D(6, 5, **relu),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 5, **relu),
            layers.MaxPooling2D(),
            layers.Conv2D(120, 5, **relu),
            layers.Flatten(),
            layers.Dense(84, **relu),
        ],
        "mlp": [
            layers.Flatten(),
            layers.Dense(512, **relu),
            layers.Dropout(0.3),
            layers.Dense(256, **relu),
            layers.Dropout(0.3),
        ],
    }
    first, last = layers.Rescaling(1 / 255), layers.Dense(10, activation="softmax")
    model = keras.Sequential([keras.Input((28, 28, 1)), first, *networks[network], last])
    steps = epochs * -(-len(arrays["train"][0]) // 128)
    rate = keras.optimizers.schedules.CosineDecay(RATES[network], steps)
    model.compile(keras.optimizers.Adam(rate), "categorical_crossentropy", metrics=["accuracy"])

    class Clock(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float] = []

        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            self.seconds.append(time.perf_counter() - self.start)

    clock = Clock()
    x, y = arrays["train"]
    model.fit(
        x,
        y,
        batch_size=128,
        epochs=epochs,
        validation_data=arrays["val"],
        callbacks=[clock],
        verbose=0,
    )
    _, accuracy = model.evaluate(*arrays["test"], verbose=0)
    return {"seconds": statistics.median(clock.seconds[1:]), "accuracy": float(accuracy)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mnist", required=True, help="mnist.npz")
    parser.add_argument("--network", choices=RATES, default="lenet")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--only", choices=["ours", "bare"], help="one run, as JSON")
    options = parser.parse_args()
    if options.only:
        job = ours if options.only == "ours" else bare
        print(json.dumps(job(options.network, options.mnist, options.epochs)))
        return
    print(f"{options.network} on {machine()}; {options.epochs} epochs, {options.pairs} pairs")
    found: dict[str, list[dict[str, float]]] = {"ours": [], "bare": []}
    for _ in range(options.pairs):
        for name, results in found.items():
            command = [sys.executable, __file__, "--mnist", options.mnist]
            command += ["--network", options.network, "--epochs", str(options.epochs)]
            command += ["--only", name]
            results.append(json.loads(last_line(command)))
    for name, results in found.items():
        seconds = spread([result["seconds"] for result in results])
        accuracy = spread([result["accuracy"] for result in results], 4)
        print(f"{name}: {seconds} seconds an epoch, test accuracy {accuracy}")
    pairs = zip(found["ours"], found["bare"], strict=True)
    print(f"ours / bare: {spread([a['seconds'] / b['seconds'] for a, b in pairs])}")


if __name__ == "__main__":
    main()
