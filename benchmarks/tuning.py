"""Fifty trials of a head on a frozen base: this package, and bare KerasTuner.

    python benchmarks/tuning.py --photographs FOLDER --base MobileNetV2 --weights FILE
    python benchmarks/tuning.py --photographs FOLDER --base resnet18.keras
    python benchmarks/tuning.py --photographs FOLDER --base … --peer --epochs 5
    python benchmarks/tuning.py --kills 10
    python benchmarks/tuning.py --mnist mnist.npz

The first two search `recipes/ants_bees.yaml` with its own space and an empty feature cache.
`--peer` is the same search with bare KerasTuner over the script of `benchmarks/transfer.py`, with
the same initialization: two trials of so many epochs are measured, and the time of fifty trials
is extrapolated from that of an epoch. `--kills` kills a search of digits several times at
random moments, resumes it each time, and compares it with an undisturbed one. `--mnist` is a
hyperband search of LeNet. Times are those of whole processes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from interleaved import machine
from transfer import process

RECIPES = Path(__file__).parent.parent / "recipes"
TRIALS = 50
LEARNED = 0.6  # accuracy, well above the 0.54 of the larger class

DIGITS = """\
name: digits
data: {source: digits, batch_size: 128}
model: {architecture: mlp, hidden: [32]}
training: {epochs: 5}
tuning:
  tuner: bayesian
  trials: 20
  space:
    optimizer.learning_rate: {log: [1e-4, 1e-1]}
    regularization.dropout: {range: [0.0, 0.5]}
    model.hidden: {choice: [[16], [64]]}
"""

LENET_SPACE = (
    "tuning={tuner: hyperband, trials: 20, space: {optimizer.learning_rate: {log: [1e-4, 1e-2]}, "
    "regularization.dropout: {range: [0.0, 0.5]}, data.batch_size: {choice: [64, 128, 256]}}}"
)


def command(recipe: Path, *changes: str) -> list[str]:
    """Return the command that searches a recipe."""
    arguments = [sys.executable, "-m", "pipeline", "tune", str(recipe), "--json"]
    for change in changes:
        arguments += ["--set", change]
    return arguments


def searched(recipe: Path, *changes: str) -> dict[str, Any]:
    """Search a recipe in an empty folder with an empty feature cache."""
    with tempfile.TemporaryDirectory() as folder:
        cache = str(Path(folder, "cache"))
        return process(command(recipe, *changes), Path(folder), PIPELINE_CACHE=cache)


def described(result: dict[str, Any]) -> str:
    trials, score = result["trials"], result["objective"]
    seconds = sorted(trial["seconds"] for trial in trials[1:])
    pruned = sum(trial["pruned_at"] is not None for trial in trials)
    spent = result["seconds"]["search"] - trials[0]["seconds"]
    learned = sum((trial[score] or 0.0) > LEARNED for trial in trials)
    epochs = statistics.fmean(trial["epochs"] for trial in trials)
    return (
        f"{result['wall']:.1f} s in all, {result['seconds']['search']:.1f} s of it the search; "
        f"{len(trials)} trials of {epochs:.1f} epochs on average, {pruned} of them pruned, "
        f"{learned} with {score} above {LEARNED}, "
        f"{spent / (len(trials) - 1):.2f} s each beyond the first (median of the trials alone "
        f"{seconds[len(seconds) // 2]:.2f} s); the recipe's own {score} {trials[0][score]:.4f}, "
        f"the best {result['best']['score']:.4f}"
    )


def peer(photographs: str, base: str, weights: str | None, epochs: int) -> dict[str, float]:
    """Return the seconds of an epoch with KerasTuner alone, the mean of two trials."""
    import keras
    import keras_tuner

    def images(split: str) -> Any:
        return keras.utils.image_dataset_from_directory(
            f"{photographs}/{split}", image_size=(224, 224), batch_size=32, label_mode="categorical"
        ).prefetch(2)

    keras.utils.set_random_seed(42)
    train, validation = images("train"), images("val")

    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        if base.endswith(".keras"):
            network = keras.saving.load_model(base, compile=False)
        else:
            network = getattr(keras.applications, base)(
                include_top=False, weights=weights, input_shape=(224, 224, 3)
            )
        network.trainable = False
        pixels = keras.Input((224, 224, 3))
        x = keras.layers.RandomFlip("horizontal")(pixels)
        if base == "MobileNetV2":
            x = keras.applications.mobilenet_v2.preprocess_input(x)
        x = network(x, training=False)
        if len(x.shape) == 4:
            x = keras.layers.GlobalAveragePooling2D()(x)
        penalty = keras.regularizers.L2(hp.Float("l2", 1e-5, 1e-1, sampling="log"))
        dropout = hp.Float("dropout", 0.0, 0.7)
        units = hp.Choice("hidden", [0, 32, 128])
        if units:
            x = keras.layers.Dense(
                units,
                activation="relu",
                kernel_initializer="he_normal",
                kernel_regularizer=penalty,
            )(x)
        x = keras.layers.Dropout(dropout)(x)
        output = keras.layers.Dense(
            2, activation="softmax", kernel_initializer="zeros", kernel_regularizer=penalty
        )(x)
        model = keras.Model(pixels, output)
        rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
        schedule = keras.optimizers.schedules.CosineDecay(rate, epochs * len(train))
        kinds = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}
        kinds["rmsprop"] = keras.optimizers.RMSprop
        optimizer = kinds[hp.Choice("optimizer", list(kinds))](schedule)
        model.compile(optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
        return model

    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        tuner = keras_tuner.BayesianOptimization(
            build, objective="val_accuracy", max_trials=2, seed=42, directory=folder
        )
        run = tuner.run_trial

        def timed(*arguments: Any, **options: Any) -> Any:
            started = time.perf_counter()
            result = run(*arguments, **options)
            seconds.append(time.perf_counter() - started)
            return result

        tuner.run_trial = timed
        tuner.search(train, validation_data=validation, epochs=epochs, verbose=0)
    return {"epoch": sum(seconds) / len(seconds) / epochs}


def killed(folder: Path, times: int) -> dict[str, Any]:
    """Kill and resume a search several times at random moments; return its result."""
    generator = random.Random(0)
    (folder / "digits.yaml").write_text(DIGITS)
    journal_lines = []
    for number in range(times):
        search = subprocess.Popen(
            command(Path("digits.yaml")),
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _wait_for_progress(folder, search)
        time.sleep(generator.uniform(0, 4))
        if search.poll() is not None:
            print(f"the search had ended before kill {number + 1}")
            break
        os.kill(search.pid, signal.SIGKILL)
        search.wait()
        journals = list(folder.glob("mlruns/searches/*/journal.jsonl"))
        lines = journals[0].read_text().count('"finished"') if journals else 0
        journal_lines.append(lines)
    print(f"finished trials at each kill: {journal_lines}")
    if len(list(folder.glob("mlruns/searches/*"))) > 1:
        print("more than one search was started: a kill came before the first was on the disk")
    return process(command(Path("digits.yaml")), folder)


def _wait_for_progress(folder: Path, search: subprocess.Popen[bytes]) -> None:
    """Wait until a search has written an event, so that not only its start is killed."""

    def written() -> int:
        return sum(path.stat().st_size for path in folder.glob("mlruns/searches/*/journal.jsonl"))

    before = written()
    while written() == before and search.poll() is None:
        time.sleep(0.05)


def torture(times: int) -> None:
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        Path(first, "digits.yaml").write_text(DIGITS)
        whole = process(command(Path("digits.yaml")), Path(first))
        survived = killed(Path(second), times)
        import mlflow

        client = mlflow.MlflowClient(survived["tracking_uri"])
        parent = client.get_run(survived["parent_run_id"])
        children = client.search_runs(
            [parent.info.experiment_id],
            f"tags.`mlflow.parentRunId` = '{survived['parent_run_id']}'",
        )
        numbers = sorted(int(run.data.tags["trial"]) for run in children)
        states = {run.info.status for run in children}

    def table(result: dict[str, Any]) -> list[dict[str, Any]]:
        return [{**row, "seconds": 0} for row in result["trials"]]

    print(f"the tables of trials are equal: {table(whole) == table(survived)}")
    print(f"the best is the same: {whole['best'] == survived['best']}")
    complete = numbers == list(range(1, 21))
    print(f"in MLflow: each of 20 trials once: {complete}, states {states}")
    print(f"the final metrics are equal: {whole['metrics'] == survived['metrics']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photographs", help="hymenoptera_data, with train/ and val/")
    parser.add_argument("--base", help="a network of keras.applications, or a .keras file")
    parser.add_argument("--weights", help="of the network without its top, .weights.h5")
    parser.add_argument("--peer", action="store_true", help="bare KerasTuner, two trials")
    parser.add_argument("--epochs", type=int, default=5, help="of each trial of the peer")
    parser.add_argument("--kills", type=int, help="number of times to kill a search of digits")
    parser.add_argument("--mnist", help="mnist.npz, for a hyperband search of LeNet")
    options = parser.parse_args()
    print(f"on {machine()}")
    if options.kills:
        torture(options.kills)
    elif options.mnist:
        path = Path(options.mnist).absolute()
        result = searched(RECIPES / "mnist_lenet.yaml", f"data.path={path}", LENET_SPACE)
        print(f"LeNet on MNIST, hyperband: {described(result)}")
    elif options.peer:
        result = peer(options.photographs, options.base, options.weights, options.epochs)
        print(
            f"bare KerasTuner, {options.base}: {result['epoch']:.2f} s an epoch, of 2 trials with "
        )
        print(f"{options.epochs} epochs each; {TRIALS} trials of N epochs would take ", end="")
        print(f"{result['epoch'] * TRIALS:.0f} s times N")
    else:
        data = Path(options.photographs).absolute()
        changes = [f"data.path={data}"]
        base = options.base
        if base.endswith(".keras"):
            base = str(Path(base).absolute())
            model = f"model={{architecture: transfer, base: '{base}'}}"
        else:
            weights = Path(options.weights).absolute()
            model = f"model={{architecture: transfer, base: {base}, weights: '{weights}'}}"
        result = searched(RECIPES / "ants_bees.yaml", *changes, model)
        print(f"{base}: {described(result)}")
        print(json.dumps(result["seconds"]))


if __name__ == "__main__":
    main()
