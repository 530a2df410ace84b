"""Predict images in tar files on an S3 server to Parquet there, killed in the middle and resumed.

    python benchmarks/cluster_predictions.py --images 100000
    python benchmarks/cluster_predictions.py --images 20000 --machines 3

The server is moto's, in a process of its own on loopback. The images are digits of scikit-learn
with noise, each another one, and the model is trained on the digits first. After 40 % of the parts,
the process is killed with -9, with the processes that it started, and given the same command again.
Then each image has to be there once, finished parts untouched, and the rows of every tenth tar file
equal to those of a prediction that nothing disturbed. With --machines, that many machines of a Ray
cluster predict, which are processes of this one, and one of them is killed before that. It exits
with 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
from interleaved import machine
from PIL import Image
from pyarrow import parquet
from ray_machines import kill_machine, kill_process, started
from sklearn.datasets import load_digits

from pipeline.storage import Storage, file_system

RECIPE = """\
name: digits
data: {source: digits, batch_size: 64}
model: {architecture: mlp, hidden: [64]}
optimizer: {learning_rate: 5e-3}
training: {epochs: 5}
"""
BUCKET = "s3://benchmark"
KILLED_AFTER = 0.4  # of the parts
COMPARED = 10  # every tenth tar file
SECONDS = 3000.0  # after which a prediction counts as stuck


@contextlib.contextmanager
def s3_server() -> Iterator[None]:
    """Run an S3 server on loopback with a bucket, which the environment names."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        file_system(BUCKET)[0].mkdir(BUCKET)
        yield
    finally:
        server.terminate()
        server.wait()


def write_shards(images: int, shard_images: int) -> int:
    """Write tar files of images to the bucket; return how many."""
    digits = (load_digits().images * (255 / 16)).astype(np.uint8)
    chance = np.random.default_rng(0)
    storage = Storage(f"{BUCKET}/shards")
    shards = range(0, images, shard_images)
    for shard, start in enumerate(shards):
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as archive:
            for number in range(start, min(start + shard_images, images)):
                noise = chance.integers(0, 40, (8, 8), np.uint8)
                pixels = np.maximum(digits[number % len(digits)], noise)
                for suffix, data in (("png", png(pixels)), ("json", b"{}")):
                    info = tarfile.TarInfo(f"{number:09}.{suffix}")
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
        storage.write_bytes(f"digits-{shard:05}.tar", content.getvalue())
    return len(shards)


def png(pixels: np.ndarray) -> bytes:
    """Return pixels as a PNG file."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "png", compress_level=1)
    return content.getvalue()


class Prediction:
    """`pipeline predict` in a process, and the most memory that it and its children took."""

    def __init__(self, folder: Path, arguments: list[str], output: str) -> None:
        command = [sys.executable, "-m", "pipeline", "predict", "digits", *arguments, "-o", output]
        self._messages = folder / "messages.txt"
        with self._messages.open("ab") as messages:
            self._process = subprocess.Popen(command, cwd=folder, stderr=messages)
        self._started = time.monotonic()
        self.peak = 0
        self.seconds = 0.0

    def wait(self, condition: Callable[[], bool] | None = None) -> None:
        """Wait for a condition, or for the end."""
        while condition is None or not condition():
            if self._process.poll() is not None:
                self.seconds = time.monotonic() - self._started
                if condition is not None or self._process.returncode:
                    sys.exit(f"The prediction ended with:\n{self._messages.read_text()}")
                return
            if time.monotonic() - self._started > SECONDS:
                sys.exit("The prediction is stuck.")
            with contextlib.suppress(psutil.Error):
                main = psutil.Process(self._process.pid).memory_info().rss
                self.peak = max(self.peak, main)
            time.sleep(0.2)

    def kill(self) -> None:
        """Kill it, with the processes that it started."""
        kill_process(self._process.pid)
        self._process.wait()
        self.seconds = time.monotonic() - self._started


@contextlib.contextmanager
def cluster_of(machines: int) -> Iterator[tuple[list[str], Callable[[], None]]]:
    """Yield the arguments that predict on so many machines, and what kills one of them."""
    if not machines:
        yield [], lambda: None
        return
    with started(machines, cores=1) as (cluster, nodes):
        os.environ["RAY_ADDRESS"] = cluster.address
        yield ["--cluster", "auto"], lambda: kill_machine(nodes[0])


def predict_killed(
    folder: Path, images: int, *, shard_images: int = 1000, machines: int = 0
) -> dict[str, Any]:
    """Predict, kill and resume, and compare with what nothing disturbed.

    Args:
        folder: an empty one, for the model.
        images: how many.
        shard_images: how many there are in a tar file.
        machines: how many machines of a Ray cluster predict; 0 for one process without Ray.

    Returns:
        Times, and what has to be as it should be, under `checks`.
    """
    (folder / "recipe.yaml").write_text(RECIPE)
    subprocess.run(
        [sys.executable, "-m", "pipeline", "-q", "run", "recipe.yaml"],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    with s3_server():
        shards = write_shards(images, shard_images)
        pattern, output = f"{BUCKET}/shards/digits-*.tar", f"{BUCKET}/predictions/"
        storage = Storage(output.rstrip("/"))
        limit = int(shards * KILLED_AFTER)
        with cluster_of(machines) as (arguments, kill_one):
            first = Prediction(folder, [pattern, *arguments], output)
            first.wait(lambda: len(parts(storage)) >= limit // 2)
            kill_one()
            first.wait(lambda: len(parts(storage)) >= limit)
            first.kill()
            before = parts(storage)
            second = Prediction(folder, [pattern, *arguments], output)
            second.wait()
        after = parts(storage)
        tables = {name: read(storage, name) for name in sorted(after)}
        rows = pa.concat_tables(tables.values())
        names = sorted(rows["image"].to_pylist())
        sample = range(0, shards, COMPARED)
        files = [f"{BUCKET}/shards/digits-{number:05}.tar" for number in sample]
        undisturbed = Prediction(folder, files, str(folder / "undisturbed.parquet"))
        undisturbed.wait()
        expected = parquet.read_table(folder / "undisturbed.parquet")
        found = pa.concat_tables(tables[f"part-{number:05}.parquet"] for number in sample)
    new = images - sum(len(tables[name]) for name in before)
    return {
        "machine": machine(),
        "images": images,
        "tar_files": shards,
        "machines": machines,
        "parts_when_killed": len(before),
        "seconds": {
            "until_killed": round(first.seconds, 1),
            "resumed": round(second.seconds, 1),
            "undisturbed_sample": round(undisturbed.seconds, 1),
        },
        "images_per_second": {
            "resumed": round(new / second.seconds),
            "undisturbed_sample": round(len(expected) / undisturbed.seconds),
        },
        "peak_mib": round(max(first.peak, second.peak) / 2**20),
        "checks": {
            "each_image_once": names == [f"{number:09}.png" for number in range(images)],
            "no_errors": rows["error"].null_count == images,
            "finished_parts_untouched": {name: after[name] for name in before} == before,
            "equal_to_undisturbed": found.equals(expected),
        },
    }


def parts(storage: Storage) -> dict[str, Any]:
    """Return when each part was written, and its digest, by its name."""
    system, path = file_system(storage.address)
    found = system.find(path, detail=True) if system.exists(path) else {}
    return {
        name.rpartition("/")[2]: (info["LastModified"], info["ETag"])
        for name, info in found.items()
        if name.endswith(".parquet")
    }


def read(storage: Storage, name: str) -> pa.Table:
    return parquet.read_table(io.BytesIO(storage.read_bytes(name)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--shard-images", type=int, default=1000)
    parser.add_argument("--machines", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = predict_killed(
            Path(folder),
            options.images,
            shard_images=options.shard_images,
            machines=options.machines,
        )
    print(json.dumps(found, indent=1))
    return 0 if all(found["checks"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
