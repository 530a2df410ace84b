"""Images per second of a frozen base on every engine and in every precision, in turn.

    python benchmarks/engines.py --photographs FOLDER --base ResNet50=resnet50_notop.weights.h5

All engines compute the same photographs of 224 × 224 pixels in one process, one after another,
several times. The ratio is that to the stock Keras network (`model(images, training=False)` in a
`tf.function`). The heads' disagreement is what the guard of a run looks at: how many of up to 64
training images get another label from a head that is trained on the engine's features.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from interleaved import machine, spread
from PIL import Image

from pipeline.engines.engine import ENGINES, KERAS, Variant
from pipeline.engines.frozen_graph import CompiledGraph, FrozenGraph
from pipeline.features.engine_choice import relative_error
from pipeline.features.head_agreement import choose_images, compare_heads
from pipeline.models.applications import APPLICATIONS
from pipeline.processor import has_bfloat16

SIDE, BATCH = 224, 32
CALIBRATION = 64


def frozen_graph(base: str) -> FrozenGraph:
    """Return a base behind its preprocessing: NAME=WEIGHTS, or a .keras file."""
    name, _, weights = base.rpartition("=")
    pixels = keras.Input((SIDE, SIDE, 3))
    if not name:
        network = keras.models.load_model(base, compile=False)
        sized = keras.models.clone_model(network, input_tensors=keras.Input((SIDE, SIDE, 3)))
        sized.set_weights(network.get_weights())
        return FrozenGraph(keras.Model(pixels, keras.layers.Identity()(pixels)), sized, pool=True)
    constructor = getattr(keras.applications, name)
    network = constructor(include_top=False, weights=weights, input_shape=(SIDE, SIDE, 3))
    module = getattr(keras.applications, APPLICATIONS[name].module)
    prepare = keras.Model(pixels, keras.layers.Identity()(module.preprocess_input(pixels)))
    return FrozenGraph(prepare, network, pool=True)


def features(compiled: CompiledGraph, images: np.ndarray) -> np.ndarray:
    batches = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
    return np.concatenate([activations[0] for activations in compiled.run(batches)])


def compiled_variants(
    graph: FrozenGraph, images: np.ndarray
) -> Iterator[tuple[Variant, CompiledGraph, float]]:
    """Yield each variant with its graph and the seconds to compile it."""
    for name, engine in ENGINES.items():
        compiler = None
        for precision in engine.precisions:
            if precision == "bfloat16" and not has_bfloat16():
                continue
            started = time.perf_counter()
            compiler = compiler or engine.compiler(graph)
            compiled = compiler(precision, images[:CALIBRATION], pool=graph.pool)
            features(compiled, images[:BATCH])  # traces, and allocates
            yield Variant(name, precision), compiled, time.perf_counter() - started


def main() -> None:
    """Print a line for each engine and precision."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photographs", type=Path, required=True, help="with train/")
    parser.add_argument("--base", action="append", required=True, help="NAME=WEIGHTS or .keras")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    files = sorted((options.photographs / "train").rglob("*.jpg"))
    classes = sorted({file.parent.name for file in files})
    labels = np.array([classes.index(file.parent.name) for file in files])
    indices = choose_images(labels)
    assert indices is not None
    pictures = [Image.open(files[i]).convert("RGB").resize((SIDE, SIDE)) for i in indices]
    images = np.array(pictures, np.float32)
    print(f"on {machine()}; {len(images)} photographs, {options.rounds} rounds")
    for base in options.base:
        variants = list(compiled_variants(frozen_graph(base), images))
        original = features(variants[0][1], images)
        seconds: dict[Variant, list[float]] = {variant: [] for variant, _, _ in variants}
        for _ in range(options.rounds):
            for variant, compiled, _ in variants:
                started = time.perf_counter()
                features(compiled, images)
                seconds[variant].append(time.perf_counter() - started)
        for variant, compiled, compile_seconds in variants:
            ratios = [k / v for k, v in zip(seconds[KERAS], seconds[variant], strict=True)]
            found = features(compiled, images)
            heads = compare_heads(original, found, labels[indices])
            print(
                f"{base.partition('=')[0]}, {variant}: "
                f"{len(images) / statistics.median(seconds[variant]):.1f} images/s, "
                f"{spread(ratios)} × Keras, compiled in {compile_seconds:.1f} s, error "
                f"{relative_error(found, original):.2g}, heads disagree on {heads.disagreements}",
                flush=True,
            )


if __name__ == "__main__":
    main()
