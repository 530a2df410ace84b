"""How often a model says that it does not know, and how often it should.

    python benchmarks/uncertainty.py --photographs FOLDER --mnist mnist.npz --tiles FOLDER \
        --scenes FOLDER --base ResNet50=resnet50_notop.weights.h5 --base resnet18.keras

FOLDER of the photographs is that of ants and bees, with train/ and val/. Validation images are
drawn from train/; val/ is the test split, which chooses nothing. Half of the test images, drawn
100 times, calibrate, and the other half is judged: how often prediction sets contain the true
class, and how many images of the classes are refused as unknown. The same thresholds judge
pictures of other things. `penultimate` measures the distance of a LeNet, trained on MNIST, between
the inputs of its output layer.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from interleaved import machine
from PIL import Image

DRAWS, LEVEL, SHOWN = 100, 0.9, 200
RECIPES = Path(__file__).parent.parent / "recipes"


def halves(count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the indices of two random halves, 100 times."""
    generator = np.random.default_rng(0)
    for _ in range(DRAWS):
        known, new = np.array_split(generator.permutation(count), 2)
        yield known, new


def spread(values: list[float]) -> str:
    return f"{np.mean(values):6.1%} ({min(values):.1%} to {max(values):.1%})"


def coverage(name: str, labels: np.ndarray, probabilities: np.ndarray) -> None:
    """Print the coverage and the size of the prediction sets of held-out images."""
    from pipeline.evaluation.conformal import calibrate, prediction_sets

    covered, sizes, empty = [], [], []
    for known, new in halves(len(labels)):
        threshold = calibrate(labels[known], probabilities[known]).threshold(LEVEL)
        sets = prediction_sets(probabilities[new], threshold)
        covered.append(float(sets[np.arange(len(new)), labels[new]].mean()))
        sizes.append(float(sets.sum(axis=1).mean()))
        empty.append(float((sets.sum(axis=1) == 0).mean()))
    accuracy = np.mean(probabilities.argmax(axis=1) == labels)
    print(
        f"{name:<24} {len(labels):>6} images  accuracy {accuracy:.3f}  coverage {spread(covered)}  "
        f"classes per set {np.mean(sizes):.2f}  empty {np.mean(empty):.1%}"
    )


def unknown(name: str, known: np.ndarray, others: Mapping[str, np.ndarray]) -> None:
    """Print which share of the images of the classes and of others is further than the threshold.

    Args:
        name: of the model.
        known: the distances of held-out images of the classes.
        others: the distances of other images.
    """
    from pipeline.inference.feature_distance import distance_threshold

    refused: list[float] = []
    found: dict[str, list[float]] = {other: [] for other in others}
    for calibrating, new in halves(len(known)):
        threshold = distance_threshold(known[calibrating])
        refused.append(float((known[new] > threshold).mean()))
        for other, distances in others.items():
            found[other].append(float((distances > threshold).mean()))
    shares = "  ".join(f"{other} {spread(values)}" for other, values in found.items())
    print(f"{name:<24} refused {spread(refused)}  recognized as unknown: {shares}")


def located(base: str) -> str:
    """Return a base with the absolute path of its file."""
    network, given, weights = base.rpartition("=")
    return f"{network}{given}{Path(weights).absolute()}"


def sample(folder: Path) -> list[Path]:
    """Return 200 image files below a folder, evenly spaced."""
    files = sorted(path for path in folder.rglob("*.jpg") if not path.name.startswith("."))
    return [files[i] for i in np.unique(np.linspace(0, len(files) - 1, SHOWN).astype(int))]


def digit_files(mnist: Path, folder: Path) -> list[Path]:
    """Write 200 digits of MNIST as image files."""
    folder.mkdir()
    with np.load(mnist, allow_pickle=False) as arrays:
        digits = arrays["x_test"][:SHOWN]
    for number, digit in enumerate(digits):
        Image.fromarray(digit).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


def ants_and_bees(base: str, data: Path, others: Mapping[str, list[Path]]) -> None:
    """Run the recipe with a base, and judge its model."""
    import pipeline

    network, _, weights = base.rpartition("=")
    values = [f"data.path={data}", "data.download=", f"model.base={network or weights}"]
    values.append(f"model.weights={weights if network else ''}")
    model = pipeline.load(pipeline.run(RECIPES / "ants_bees.yaml", values).run_id)
    answers = model.predict(data / "test")
    names = model.class_names
    labels = np.array([names.index(each.path.parent.name) for each in answers])
    probabilities = np.array([[each.probabilities[name] for name in names] for each in answers])

    def distances(predictions: Any) -> np.ndarray:
        return np.array([each.distance for each in predictions if not each.error])

    name = Path(network or weights).stem
    coverage(f"ants/bees, {name}", labels, probabilities)
    unknown(
        f"ants/bees, {name}",
        distances(answers),
        {other: distances(model.predict(files)) for other, files in others.items()},
    )


def penultimate(
    model: Any, splits: Any, read: Callable[[Path], np.ndarray], others: Mapping[str, list[Path]]
) -> None:
    """Judge distances between the inputs of the output layer of a model without a base."""
    import keras

    from pipeline.inference.feature_distance import MAX_REFERENCES, NEIGHBORS, make_references

    network = keras.Model(model.input, model.get_layer("output").input)

    def features(images: np.ndarray) -> np.ndarray:
        return np.asarray(network.predict(images.astype(np.float32), batch_size=256, verbose=0))

    def of_split(split: Any, count: int) -> np.ndarray:
        return features(split.images.read(np.linspace(0, len(split) - 1, count).astype(int)))

    references = make_references(of_split(splits.train, MAX_REFERENCES))
    unknown(
        "MNIST, LeNet, penultimate",
        references.distances(of_split(splits.test, 2000), NEIGHBORS),
        {
            other: references.distances(features(np.stack([read(f) for f in files])), NEIGHBORS)
            for other, files in others.items()
        },
    )


def digits(mnist: Path, others: Mapping[str, list[Path]]) -> None:
    """Train a LeNet on MNIST, and judge it."""
    from pipeline.data.image_decoding import Decoding
    from pipeline.inference.model_interface import ModelInterface
    from pipeline.recipe.loader import load_recipe
    from pipeline.stages.train_model import train_model

    values = {"data.path": str(mnist), "training.epochs": 4}
    recipe = load_recipe(RECIPES / "mnist_lenet.yaml", values).recipe
    splits = recipe.data.load()
    trained = train_model(recipe, splits, on_epoch=lambda *_: None, show_progress=False)
    assert splits.test
    coverage("MNIST, LeNet", splits.test.labels, trained.trainer.predict(splits.test, "test"))
    interface = ModelInterface("classification", splits.class_names, Decoding((28, 28), "crop", 1))
    penultimate(trained.model, splits, interface.read, others)


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("photographs", "mnist", "tiles", "scenes"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--base", action="append", default=[], help="NAME=WEIGHTS or a .keras file")
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = folder / "hymenoptera"
        data.mkdir()
        for split, source in (("train", "train"), ("test", "val")):
            (data / split).symlink_to((options.photographs / source).absolute())
        scenes, tiles = sample(options.scenes), sample(options.tiles)
        of_mnist = digit_files(options.mnist.absolute(), folder / "mnist")
        mnist = options.mnist.absolute()
        bases = [located(base) for base in options.base]
        photographs = sample(options.photographs / "val")
        os.chdir(folder)
        for base in bases:
            ants_and_bees(base, data, {"digits": of_mnist, "tiles": tiles, "scenes": scenes})
        digits(mnist, {"tiles": tiles, "scenes": scenes, "ants and bees": photographs})


if __name__ == "__main__":
    main()
