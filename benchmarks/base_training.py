"""Training a base on photographs: the time of an epoch here and in bare Keras.

    python benchmarks/base_training.py --photographs FOLDER --weights mobilenet_v2_notop.weights.h5
    python benchmarks/base_training.py … --whole
    python benchmarks/base_training.py … --from block_16

Fine-tuning trains the layers from one on, with batch normalization frozen, after an epoch of the
head; `--whole` trains all of MobileNetV2 from the first epoch. Bare Keras is `model.fit` on
`image_dataset_from_directory` with the same layers trainable, the same augmentation, batches and
optimizer, and nothing around it. The first epoch, which traces the graph, counts only in the time
of all of them, and so do the activations that fine-tuning computes once and keeps.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from interleaved import last_line, machine, spread

RECIPES = Path(__file__).parent.parent / "recipes"


def ours(options: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of an epoch and of all of them, and the best validation accuracy."""
    import os

    import mlflow

    from pipeline.recipe.loader import load_recipe
    from pipeline.workflows.single_run import run

    tuned = f"training.fine_tune={{from: {options.start}, epochs: {options.epochs}}}"
    whole = ("model.train_base=true", f"training.epochs={options.epochs}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PIPELINE_CACHE"] = f"{folder}/cache"
        changes = (
            f"data.path={options.photographs}",
            "data.download=",
            "model.base=MobileNetV2",
            f"model.weights={options.weights}",
            "optimizer={name: adam, learning_rate: 1e-5}",
            "training.early_stopping={monitor: val_log_loss, patience: null}",
            *(whole if options.whole else ("training.epochs=1", tuned)),
            f"tracking.uri=sqlite:///{folder}/mlflow.db",
        )
        result = run(load_recipe(RECIPES / "ants_bees.yaml", changes))
        client = mlflow.MlflowClient(result.tracking_uri)
        epochs = client.get_metric_history(result.run_id, "epoch/seconds")
    epochs.sort(key=lambda epoch: epoch.step)
    seconds = [epoch.value for epoch in epochs]
    if options.whole:
        return {
            "epoch": statistics.median(seconds[1:]),
            "all": sum(seconds),
            "accuracy": result.metrics["val_accuracy"],
        }
    return {
        "epoch": statistics.median(seconds[2:]),
        "all": (epochs[-1].timestamp - epochs[0].timestamp) / 1000,
        "accuracy": result.metrics["val_accuracy"],
    }


def bare(options: argparse.Namespace) -> dict[str, float]:
    """Return the same of a script with `model.fit`."""
    import keras

    def images(split: str) -> object:
        return keras.utils.image_dataset_from_directory(
            f"{options.photographs}/{split}",
            image_size=(224, 224),
            batch_size=32,
            label_mode="categorical",
        ).prefetch(2)

    keras.utils.set_random_seed(42)
    base = keras.applications.MobileNetV2(
        include_top=False, weights=options.weights, input_shape=(224, 224, 3)
    )
    is_trained = options.whole
    for layer in base.layers:
        is_trained = is_trained or layer.name.startswith(options.start)
        is_frozen = isinstance(layer, keras.layers.BatchNormalization) and not options.whole
        layer.trainable = is_trained and not is_frozen
    pixels = keras.Input((224, 224, 3))
    x = keras.layers.RandomFlip("horizontal")(pixels)
    x = keras.applications.mobilenet_v2.preprocess_input(x)
    x = base(x) if options.whole else base(x, training=False)
    output = keras.layers.Dense(2, "softmax")(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(pixels, output)
    model.compile(keras.optimizers.Adam(1e-5), "categorical_crossentropy", metrics=["accuracy"])
    starts: list[float] = []
    history = model.fit(
        images("train"),
        validation_data=images("val"),
        epochs=options.epochs,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda *_: starts.append(time.perf_counter())
            )
        ],
        verbose=0,
    )
    times = [*starts, time.perf_counter()]
    seconds = [end - start for start, end in itertools.pairwise(times)]
    return {
        "epoch": statistics.median(seconds[1:]),
        "all": sum(seconds),
        "accuracy": max(history.history["val_accuracy"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photographs", required=True, help="hymenoptera_data, with train/, val/")
    parser.add_argument("--weights", required=True, help="of MobileNetV2 without its top")
    parser.add_argument("--whole", action="store_true", help="train the whole base")
    parser.add_argument("--from", dest="start", default="block_16", help="the first trained layer")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--only", choices=["ours", "bare"], help="one run, as JSON")
    options = parser.parse_args()
    options.photographs, options.weights = (
        str(Path(path).absolute()) for path in (options.photographs, options.weights)
    )
    if options.only:
        print(json.dumps((ours if options.only == "ours" else bare)(options)))
        return
    trained = "all of MobileNetV2" if options.whole else f"MobileNetV2 from {options.start} on"
    print(f"{trained}, on {machine()}; {options.epochs} epochs, {options.pairs} pairs")
    found: dict[str, list[dict[str, float]]] = {"ours": [], "bare": []}
    for _ in range(options.pairs):
        for name, results in found.items():
            command = [sys.executable, __file__, *sys.argv[1:], "--only", name]
            results.append(json.loads(last_line(command)))
    for name, results in found.items():
        print(
            f"{name}: {spread([each['epoch'] for each in results])} seconds an epoch, "
            f"{spread([each['all'] for each in results])} in all, best validation accuracy "
            f"{spread([each['accuracy'] for each in results], 4)}"
        )
    for key, what in (("epoch", "an epoch"), ("all", "all epochs")):
        pairs = zip(found["ours"], found["bare"], strict=True)
        print(f"ours / bare, {what}: {spread([a[key] / b[key] for a, b in pairs])}")


if __name__ == "__main__":
    main()
