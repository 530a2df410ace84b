"""Ants or bees on a frozen base: this package against the script that a user would write.

    python benchmarks/transfer.py --photographs FOLDER --weights resnet50_notop.weights.h5
    python benchmarks/transfer.py … --base MobileNetV2 --distinct --peer-epochs 3
    python benchmarks/transfer.py --growth

The peer follows Keras's transfer-learning guide: `image_dataset_from_directory`, augmentation in
the model, a frozen base called with `training=False`, the same head, optimizer and number of
epochs. Times are of whole processes, from start to the logged model. Flips alone leave two versions
of an image; `--distinct` also rotates and zooms, so that every version is another one.
`--peer-epochs` trains the peer for fewer epochs and adds the others at the time of its last one.
`--growth` shows time and memory as generated images and classes become more.
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
GROWTH = (1_000, 16_000, 100_000)
CLASSES = (2, 1_000)
PREPROCESSING = {"ResNet50": "resnet", "MobileNetV2": "mobilenet_v2"}
DISTINCT = (
    "data.augmentation=[{random_flip: {mode: horizontal}}, {random_rotation: {factor: 0.05}}, "
    "{random_zoom: {height_factor: 0.1}}]"
)


def peer(options: argparse.Namespace) -> dict[str, float]:
    """Train as the guide does, save the model, and return its best validation accuracy.

    Also the seconds of its last epoch.
    """
    import keras

    photographs, epochs = options.photographs, options.peer_epochs or options.epochs

    def images(split: str) -> Any:
        return keras.utils.image_dataset_from_directory(
            f"{photographs}/{split}", image_size=(224, 224), batch_size=32, label_mode="categorical"
        )

    keras.utils.set_random_seed(42)
    train, validation = images("train"), images("val")
    base = getattr(keras.applications, options.base)(include_top=False, weights=options.weights)
    base.trainable = False
    pixels = keras.Input((224, 224, 3))
    x = keras.layers.RandomFlip("horizontal")(pixels)
    if options.distinct:
        x = keras.layers.RandomZoom(0.1)(keras.layers.RandomRotation(0.05)(x))
    x = getattr(keras.applications, PREPROCESSING[options.base]).preprocess_input(x)
    x = keras.layers.GlobalAveragePooling2D()(base(x, training=False))
    output = keras.layers.Dense(2, activation="softmax", kernel_initializer="zeros")(x)
    model = keras.Model(pixels, output)
    rate = keras.optimizers.schedules.CosineDecay(2e-2, epochs * len(train))
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model.compile(keras.optimizers.Adam(rate), loss=loss, metrics=["accuracy"])
    starts: list[float] = []
    clock = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda *_: starts.append(time.perf_counter())
    )
    history = model.fit(
        train.prefetch(2),
        validation_data=validation.prefetch(2),
        epochs=epochs,
        callbacks=[clock],
        verbose=0,
    )
    last = time.perf_counter() - starts[-1]
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.keras")
    return {"val_accuracy": max(history.history["val_accuracy"]), "epoch": last}


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
    missing = options.epochs - (options.peer_epochs or options.epochs)
    print(
        f"on {machine()}; {options.base}, {options.epochs} epochs, {options.pairs} pairs, "
        f"{'flips, rotations and zooms' if options.distinct else 'flips'}, "
        f"{missing} epochs of the peer extrapolated"
    )
    changes = (
        f"data.path={photographs}",
        "data.download=",
        f"model.base={options.base}",
        f"model.weights={weights}",
        f"training.epochs={options.epochs}",
        "training.early_stopping={monitor: val_accuracy, patience: null}",
        *([DISTINCT] if options.distinct else []),
    )
    command = [sys.executable, __file__, "--peer", *sys.argv[1:]]
    runs: dict[str, list[dict[str, Any]]] = {"first run": [], "second run": [], "peer": []}
    for _ in range(options.pairs):
        with tempfile.TemporaryDirectory() as folder:
            runs["first run"].append(ours(Path(folder), *changes))
            runs["second run"].append(ours(Path(folder), *changes))
        other = process(command, Path.cwd(), TF_CPP_MIN_LOG_LEVEL="3")
        runs["peer"].append({**other, "wall": other["wall"] + missing * other["epoch"]})
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
    """Print time and peak memory as the number of images grows, with few and many classes."""
    import numpy as np
    from PIL import Image

    print(f"on {machine()}; MobileNetV2, 96 pixels, one view, 2 epochs, untrained weights")
    generator = np.random.default_rng(0)
    for classes in CLASSES:
        for count in GROWTH:
            if count < 10 * classes:
                continue
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                for number in range(count):
                    split = "val" if number // classes % 10 == 0 else "train"
                    place = folder / "data" / split / f"{number % classes:04}"
                    place.mkdir(parents=True, exist_ok=True)
                    coarse = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                    Image.fromarray(coarse).resize((128, 128)).save(place / f"{number}.jpg")
                run = ours(
                    folder,
                    f"data.path={folder / 'data'}",
                    "data.download=",
                    "data.image_size=[96, 96]",
                    "data.augmentation=[]",
                    "model.base=MobileNetV2",
                    "model.weights=null",
                    "training.epochs=2",
                )
            stages = {stage: round(seconds, 1) for stage, seconds in run["seconds"].items()}
            print(
                f"{count:>7} images, {classes:>5} classes: {run['wall']:.1f} s, "
                f"{run['wall'] / count * 1000:.2f} ms an image, "
                f"peak memory {run['peak_mib']:.0f} MiB; {json.dumps(stages)}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photographs", help="hymenoptera_data, with train/ and val/")
    parser.add_argument("--base", default="ResNet50", choices=PREPROCESSING)
    parser.add_argument("--weights", help="of the base without its top, .weights.h5")
    parser.add_argument("--distinct", action="store_true", help="rotate and zoom as well")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--peer-epochs", type=int, help="default: as many")
    parser.add_argument("--pairs", type=int, default=1)
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--peer", action="store_true", help="one run of the peer, as JSON")
    options = parser.parse_args()
    if options.growth:
        growth()
    elif options.peer:
        print(json.dumps(peer(options)))
    else:
        compare(options)


if __name__ == "__main__":
    main()
