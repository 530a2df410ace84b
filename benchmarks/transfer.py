"""Ants or bees on a frozen ResNet50: this package against the script that a user would write.

    python benchmarks/transfer.py --photographs FOLDER --weights resnet50_notop.weights.h5
    python benchmarks/transfer.py --growth

The peer follows Keras's transfer-learning guide: `image_dataset_from_directory`, augmentation in
the model, a frozen base called with `training=False`, the same head, optimizer and number of
epochs. Times are of whole processes, from start to the logged model. `--growth` shows time and
memory on 1,000, 4,000 and 16,000 generated images.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from interleaved import machine, spread

RECIPE = Path(__file__).parent.parent / "recipes" / "ants_bees.yaml"
GROWTH = (1_000, 4_000, 16_000)


def peer(photographs: str, weights: str, epochs: int) -> dict[str, float]:
    """Train as the guide does, save the model, and return its best validation accuracy."""
    import keras

    def images(split: str) -> Any:
        return keras.utils.image_dataset_from_directory(
            f"{photographs}/{split}", image_size=(224, 224), batch_size=32, label_mode="categorical"
        )

    keras.utils.set_random_seed(42)
    train, validation = images("train"), images("val")
    base = keras.applications.ResNet50(include_top=False, weights=weights)
    base.trainable = False
    pixels = keras.Input((224, 224, 3))
    x = keras.layers.RandomFlip("horizontal")(pixels)
    x = keras.applications.resnet.preprocess_input(x)
    x = keras.layers.GlobalAveragePooling2D()(base(x, training=False))
    output = keras.layers.Dense(2, activation="softmax", kernel_initializer="zeros")(x)
    model = keras.Model(pixels, output)
    rate = keras.optimizers.schedules.CosineDecay(2e-2, epochs * len(train))
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model.compile(keras.optimizers.Adam(rate), loss=loss, metrics=["accuracy"])
    history = model.fit(
        train.prefetch(2), validation_data=validation.prefetch(2), epochs=epochs, verbose=0
    )
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.keras")
    return {"val_accuracy": max(history.history["val_accuracy"])}


def process(command: list[str], folder: Path, **environment: str) -> dict[str, Any]:
    """Run a command and return the JSON of its last line with its seconds and its peak memory.

    Raises:
        SystemExit: if it fails, with what it said.
    """
    started = time.perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(
            command, cwd=folder, stdout=out, stderr=err, env={**os.environ, **environment}
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        out.seek(0)
        err.seek(0)
        if child.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{err.read().decode()[-3000:]}")
        result = json.loads(out.read().decode().strip().splitlines()[-1])
    return {**result, "wall": seconds, "peak_mib": usage.ru_maxrss / 1024}


def ours(folder: Path, *changes: str) -> dict[str, Any]:
    """Run the recipe with features kept in `folder`."""
    command = [sys.executable, "-m", "pipeline", "run", str(RECIPE), "--json"]
    for change in changes:
        command += ["--set", change]
    return process(command, folder, PIPELINE_CACHE=str(folder / "cache"))


def compare(options: argparse.Namespace) -> None:
    """Print ours, first and second run, and the peer, interleaved."""
    photographs, weights = (str(Path(p).absolute()) for p in (options.photographs, options.weights))
    print(f"on {machine()}; ResNet50, {options.epochs} epochs, {options.pairs} pairs")
    changes = (
        f"data.path={photographs}",
        f"model.weights={weights}",
        f"training.epochs={options.epochs}",
        "training.early_stopping={monitor: val_accuracy, patience: null}",
    )
    command = [sys.executable, __file__, "--peer", "--photographs", photographs]
    command += ["--weights", weights, "--epochs", str(options.epochs)]
    runs: dict[str, list[dict[str, Any]]] = {"first run": [], "second run": [], "peer": []}
    for _ in range(options.pairs):
        with tempfile.TemporaryDirectory() as folder:
            runs["first run"].append(ours(Path(folder), *changes))
            runs["second run"].append(ours(Path(folder), *changes))
        runs["peer"].append(process(command, Path.cwd(), TF_CPP_MIN_LOG_LEVEL="3"))
    for name, found in runs.items():
        accuracy = [run.get("metrics", run)["val_accuracy"] for run in found]
        print(
            f"{name}: {spread([run['wall'] for run in found], 1)} s, accuracy {spread(accuracy, 4)}"
        )
    for name in ("first run", "second run"):
        ratios = [b["wall"] / a["wall"] for a, b in zip(runs[name], runs["peer"], strict=True)]
        print(f"peer / {name}: {spread(ratios, 1)}")
        print(f"{name} by stage: {json.dumps(runs[name][-1]['seconds'])}")
    print(f"features: {json.dumps(runs['first run'][-1]['features'])}")


def growth() -> None:
    """Print time and peak memory as the number of images grows."""
    import numpy as np
    from PIL import Image

    print(f"on {machine()}; MobileNetV2, 96 pixels, one view, 2 epochs, untrained weights")
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in GROWTH:
            data = folder / str(count)
            for number in range(count):
                split = "val" if number % 10 == 0 else "train"
                place = data / split / ("ants", "bees")[number // 10 % 2]
                place.mkdir(parents=True, exist_ok=True)
                coarse = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(coarse).resize((128, 128)).save(place / f"{number}.jpg")
            run = ours(
                folder,
                f"data.path={data}",
                "data.image_size=[96, 96]",
                "data.augmentation=[]",
                "model.base=MobileNetV2",
                "model.weights=null",
                "training.epochs=2",
            )
            each = run["seconds"]["train"] / count * 1000
            print(
                f"{count:>6} images: {run['wall']:.1f} s, {each:.2f} ms of training an image, "
                f"peak memory {run['peak_mib']:.0f} MiB"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photographs", help="hymenoptera_data, with train/ and val/")
    parser.add_argument("--weights", help="ResNet50 without its top, .weights.h5")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--pairs", type=int, default=1)
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--peer", action="store_true", help="one run of the peer, as JSON")
    options = parser.parse_args()
    if options.growth:
        growth()
    elif options.peer:
        print(json.dumps(peer(options.photographs, options.weights, options.epochs)))
    else:
        compare(options)


if __name__ == "__main__":
    main()
