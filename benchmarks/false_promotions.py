"""How often `tracking.promote: better` crowns a model of noise.

    python benchmarks/false_promotions.py --directory /tmp/noise --runs 200

trains models on random pixels with random labels, each run with other splits, so that no model is
better than another. It counts promotions in two ways:

- in a row: all runs are registered under one name, and each is compared with the champion;
- in pairs: each run is also compared with the run before it under a name of its own. Each is a
  first comparison, with the least strict level.

`--fixed-splits` trains all models on the same splits, with other seeds. An interrupted benchmark
resumes in its directory.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

import pipeline
from pipeline.evaluation.predictions import Predictions
from pipeline.inference import classifier as classifiers
from pipeline.inference.batch_prediction import predict
from pipeline.recipe.loader import load_recipe
from pipeline.stages.register_model import register_model
from pipeline.tracking import registry
from pipeline.tracking.lookup import files_of, find_model
from pipeline.tracking.store import Store, open_store
from pipeline.tracking.stored_model import DATA

IMAGES = 1000
RECIPE = """\
name: noise
data: {source: table, path: images/labels.csv, image_size: [8, 8], validation: 0.2, test: 0.2}
model: {architecture: mlp, hidden: [64]}
optimizer: {learning_rate: 3e-3}
training: {epochs: 5}
tracking: {register: row, promote: better, verify_model: false}
"""


def write_noise() -> None:
    """Write random images with random labels, and the recipe."""
    generator = np.random.default_rng(0)
    Path("images").mkdir()
    rows = ["file,label"]
    for number in range(IMAGES):
        pixels = generator.integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(f"images/{number}.png")
        rows.append(f"{number}.png,{'ab'[generator.integers(2)]}")
    Path("images/labels.csv").write_text("\n".join(rows))
    Path("recipe.yaml").write_text(RECIPE)


def compare_pair(store: Store, before: str, run_id: str, changes: dict[str, int]) -> bool:
    """Return whether a run takes the place of the run before it, under a name of their own."""
    name = f"pair-{run_id}"
    registry.promote(
        store,
        name,
        registry.register(store, find_model(store, before), name),
        instead_of=None,
    )
    recipe = load_recipe(Path("recipe.yaml"), (*overrides(changes), f"tracking.register={name}"))
    splits = recipe.recipe.data.load()
    test = splits.named()["test"]
    with files_of(store, find_model(store, run_id)) as directory:
        classifier = classifiers.load_classifier(directory / DATA)
    pixels = test.images.read(np.arange(len(test)))
    answers = predict(classifier, range(len(test)), pixels.__getitem__)
    probabilities = np.array([answer.outputs for answer in answers])
    predicted = Predictions(
        splits.class_names, test.names, test.hex_digests(), test.labels, probabilities
    )
    registered = register_model(recipe.recipe, run_id, splits, {"test": predicted}, store=store)
    assert registered
    assert not registered.error
    return registered.is_champion


def overrides(changes: dict[str, int]) -> tuple[str, ...]:
    """Return changes of a recipe as arguments of `--set`."""
    return tuple(f"{path}={value}" for path, value in changes.items())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--fixed-splits", action="store_true")
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    os.chdir(arguments.directory)
    if not Path("recipe.yaml").exists():
        write_noise()
    log = Path("runs.jsonl")
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    store = open_store(None)
    for number in range(len(rows), arguments.runs):
        changes = {"seed": number, "data.split_seed": 0 if arguments.fixed_splits else number}
        result = pipeline.run("recipe.yaml", overrides(changes))
        registered = result.registered
        assert registered
        assert not registered.error
        row = {
            "run_id": result.run_id,
            "accuracy": result.metrics["test_accuracy"],
            "is_champion": registered.is_champion,
            "metrics": registered.metrics,
        }
        if rows:
            row["wins_pair"] = compare_pair(store, rows[-1]["run_id"], result.run_id, changes)
        rows.append(row)
        with log.open("a") as file:
            file.write(json.dumps(row) + "\n")
    compared = rows[1:]
    images = [row["metrics"]["champion/count"] for row in compared]
    print(f"test accuracy of the models of noise: {np.mean([r['accuracy'] for r in rows]):.3f}")
    print(f"images in a comparison: {min(images):.0f} to {max(images):.0f}")
    for name, key in (("in a row", "is_champion"), ("in pairs", "wins_pair")):
        crowned = sum(row[key] for row in compared)
        print(f"{name}: {crowned} of {len(compared)} crowned, {crowned / len(compared):.1%}")


if __name__ == "__main__":
    main()
