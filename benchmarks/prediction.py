"""`pipeline predict` against `model.predict` on a tf.data set, on the same files.

    python benchmarks/prediction.py --run latest --photographs FOLDER
    python benchmarks/prediction.py --run latest --photographs FOLDER --images 1

The run is one in the store in use. The photographs are repeated under other names until there are
`--images`. `ours` is what `pipeline predict` does: the float32 graph in OpenVINO, where the run has
one. `files` is a tf.data set that reads and decodes them in parallel in TensorFlow, as its guides
do. `decoded` is one of images that were decoded before: what no reader of files can reach. Times
are from the first file to the last probability, with the model loaded and traced; `cpu` is that of
all threads. With one image, `pipeline predict` is timed from the start of its process to its end.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from interleaved import last_line, machine, spread

JOBS = ("ours", "files", "decoded")
DECODED = "decoded.npy"


def repeat(photographs: Path, folder: Path, count: int) -> None:
    """Fill a folder with `count` links to the photographs."""
    sources = sorted(path for path in photographs.rglob("*.jpg") if path.is_file())
    for number in range(count):
        (folder / f"{number:06}.jpg").symlink_to(sources[number % len(sources)].absolute())


def ours(classifier: Any, files: list[Path]) -> np.ndarray:
    from pipeline.inference.batch_prediction import predict

    answers = predict(classifier, files, classifier.interface.read)
    return np.stack([each.outputs for each in answers if each.outputs is not None])


def prepared(classifier: Any, files: list[Path]) -> np.ndarray:
    """Predict with a tf.data set that decodes files in parallel."""
    import tensorflow as tf

    size = classifier.interface.image_decoding.size

    def read(path: Any) -> Any:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.image.resize(image, size)

    images = tf.data.Dataset.from_tensor_slices([str(path) for path in files])
    images = images.map(read, num_parallel_calls=tf.data.AUTOTUNE).batch(64)
    return np.asarray(classifier.model.predict(images.prefetch(tf.data.AUTOTUNE), verbose=0))


def decoded(classifier: Any, files: list[Path]) -> np.ndarray:
    """Predict with a tf.data set of images that were decoded before."""
    import tensorflow as tf

    pixels = np.load(files[0].parent / DECODED, mmap_mode="r")
    spec = tf.TensorSpec((None, *pixels.shape[1:]), tf.uint8)

    def batches() -> Iterator[np.ndarray]:
        return (pixels[start : start + 64] for start in range(0, len(pixels), 64))

    images = tf.data.Dataset.from_generator(batches, output_signature=spec)
    return np.asarray(classifier.model.predict(images.prefetch(tf.data.AUTOTUNE), verbose=0))


def load(job: str, model: Path) -> Any:
    """Return a model that is loaded and traced."""
    if job == "ours":
        from pipeline.inference.image_classifier import load_image_classifier

        loaded = load_image_classifier(model)
        list(loaded.run([np.zeros((64, *loaded.interface.input_shape), np.uint8)]))
        return loaded
    from pipeline.inference.classifier import load_classifier

    classifier = load_classifier(model)
    nothing = np.zeros((128, *classifier.interface.input_shape), np.float32)
    classifier.model.predict(nothing, 64, verbose=0)
    return classifier


def timed(job: str, model: Path, folder: Path) -> dict[str, float]:
    """Return the seconds and the peak memory of one job."""
    classifier = load(job, model)
    files = sorted(folder.glob("*.jpg"))
    function = {"ours": ours, "files": prepared, "decoded": decoded}[job]
    start, cpu = time.perf_counter(), time.process_time()
    found = function(classifier, files)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    if len(found) != len(files):
        sys.exit(f"{job}: {len(found)} answers to {len(files)} files")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "cpu": cpu, "peak_mib": peak}


def time_processes(run: str, photographs: Path, count: int) -> list[float]:
    """Return the seconds of processes that classify one photograph, after one that is not timed."""
    photograph = next(path for path in sorted(photographs.rglob("*.jpg")) if path.is_file())
    command = [sys.executable, "-m", "pipeline", "predict", run, str(photograph)]
    seconds = []
    for _ in range(count + 1):
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def decode_all(model: Path, folder: Path) -> None:
    """Write the decoded images of a folder into it."""
    from concurrent.futures import ThreadPoolExecutor

    from pipeline.inference.model_interface import load_interface

    interface, files = load_interface(model), sorted(folder.glob("*.jpg"))
    shape = (len(files), *interface.input_shape)
    pixels = np.lib.format.open_memmap(folder / DECODED, "w+", np.uint8, shape)
    with ThreadPoolExecutor() as threads:
        for place, image in enumerate(threads.map(interface.read, files)):
            pixels[place] = image
    pixels.flush()


def directory_of(run: str) -> Path:
    """Return the directory of a run's model."""
    from pipeline.tracking.lookup import find_model
    from pipeline.tracking.store import open_store
    from pipeline.tracking.stored_model import DATA

    directory = find_model(open_store(None), run).directory
    if directory is None:
        sys.exit(f"the files of {run} are not on this machine")
    return directory / DATA


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", default="latest")
    parser.add_argument("--model", type=Path, help="with --only: the directory of the model")
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--jobs", choices=JOBS, nargs="+", default=JOBS)
    parser.add_argument("--only", choices=JOBS, help="one job on the photographs, as JSON")
    options = parser.parse_args()
    if options.only:
        print(json.dumps(timed(options.only, options.model, options.photographs)))
        return
    print(f"on {machine()}; {options.images:,} images, {options.pairs} times in turn", flush=True)
    if options.images == 1:
        seconds = time_processes(options.run, options.photographs, options.pairs)
        print(f"one photograph, whole process: {spread(seconds)} s")
        return
    model = directory_of(options.run)
    found: dict[str, list[dict[str, float]]] = {job: [] for job in options.jobs}
    with tempfile.TemporaryDirectory() as name:
        repeat(options.photographs, Path(name), options.images)
        if "decoded" in found:
            # In a process of its own: a job's peak memory begins with that of its parent.
            child = multiprocessing.get_context("spawn").Process(
                target=decode_all, args=(model, Path(name))
            )
            child.start()
            child.join()
        for _ in range(options.pairs):
            for job, results in found.items():
                command = [sys.executable, __file__, "--model", str(model)]
                results.append(
                    json.loads(last_line([*command, "--photographs", name, "--only", job]))
                )
                print(f"{job}: {results[-1]}", flush=True)
    for job, results in found.items():
        rate = spread([options.images / result["seconds"] for result in results], 0)
        peak = spread([result["peak_mib"] for result in results], 0)
        print(f"{job}: {rate} images a second, peak memory {peak} MiB")
    for job in [each for each in found if each != "ours"]:
        pairs = list(zip(found["ours"], found[job], strict=True))
        wall, cpu = (spread([a[key] / b[key] for a, b in pairs]) for key in ("seconds", "cpu"))
        print(f"ours / {job}: {wall} of the time, {cpu} of the processor's time")


if __name__ == "__main__":
    main()
