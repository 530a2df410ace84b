"""How much of the accuracy on ants and bees is luck, beside a logistic regression.

    python benchmarks/seeds.py --photographs FOLDER --base MobileNetV2 --weights FILE
    python benchmarks/seeds.py --photographs FOLDER --base resnet18.keras

`pipeline run recipes/ants_bees.yaml --seeds 10` from the recipe's seed on, the same in float32,
whose features are those of the stock Keras model up to rounding, and scikit-learn's
`LogisticRegressionCV(Cs=10, cv=5)` on the stock features, trained on `train/` and judged on `val/`,
as the runs are.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
from interleaved import machine
from sklearn.linear_model import LogisticRegressionCV
from transfer import RECIPE, process

from pipeline.evaluation.intervals import summarize_runs
from pipeline.recipe.loader import load_recipe
from pipeline.stages.trainer import PixelTrainer

MAX_ITERATIONS = 2000  # until it converges, features not scaled


def logistic_regression(changes: tuple[str, ...]) -> float:
    """Return the accuracy of a logistic regression on the stock features."""
    recipe = load_recipe(RECIPE, changes).recipe
    splits = recipe.data.load()
    assert splits.validation
    model = PixelTrainer(recipe, splits, []).model
    base = keras.Model(model.input, model.get_layer("features").output)
    train, validation = (
        base.predict(part.images.read(np.arange(len(part))).astype("float32"), verbose=0)
        for part in (splits.train, splits.validation)
    )
    regression = LogisticRegressionCV(
        Cs=10, cv=5, max_iter=MAX_ITERATIONS, scoring="accuracy", use_legacy_attributes=False
    )
    regression.fit(train, splits.train.labels)
    return float(regression.score(validation, splits.validation.labels))


def difference(fast: dict[str, Any], stock: dict[str, Any], metric: str) -> str:
    """Describe the mean difference of a metric between the same seeds, with its 95 % interval."""
    paired = [
        one["metrics"][metric] - other["metrics"][metric]
        for one, other in zip(fast["runs"], stock["runs"], strict=True)
    ]
    found = summarize_runs(np.array(paired), limits=(-math.inf, math.inf))
    return f"{metric} {found.mean:+.4f} ({found.mean_low:+.4f} to {found.mean_high:+.4f})"


def main() -> None:
    """Print the accuracy over the seeds, in either precision, and of the logistic regression."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photographs", required=True, help="with train/ and val/")
    parser.add_argument("--base", required=True)
    parser.add_argument("--weights", default="", help="of a base of keras.applications")
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    changes = (
        f"data.path={Path(options.photographs).absolute()}",
        "data.download=",
        f"model.base={options.base}",
        f"model.weights={options.weights}",
    )
    command = [sys.executable, "-m", "pipeline", "run", str(RECIPE), "--json"]
    command += ["--seeds", str(options.seeds)]
    for change in changes:
        command += ["--set", change]
    with TemporaryDirectory() as folder:
        run = process(command, Path(folder), PIPELINE_CACHE=folder)
        in_float32 = [*command, "--set", "runtime.precision=float32"]
        stock = process(in_float32, Path(folder), PIPELINE_CACHE=folder)
    accuracy, std = (run["metrics"]["val_accuracy"][name] for name in ("mean", "std"))
    print(f"on {machine()}; {options.base}, {options.seeds} seeds, {run['wall']:.0f} s")
    print(f"val_accuracy {accuracy:.4f}, standard deviation {std:.4f}")
    compared = [difference(run, stock, metric) for metric in ("val_accuracy", "val_log_loss")]
    precision = run["runs"][0]["features"]["precision"]
    print(f"{precision} minus float32, mean and 95 % interval: {', '.join(compared)}")
    print(f"logistic regression {logistic_regression(changes):.4f}")


if __name__ == "__main__":
    main()
