"""The features of many images on a Ray cluster, and in one process.

    python benchmarks/cluster.py --photographs FOLDER --weights mobilenet_v2_notop.weights.h5
    python benchmarks/cluster.py … --overhead --pairs 2

The images are crops of the photographs. First, `pipeline run` computes their features in one
process and on a cluster of three machines with a core each, which are processes of this one: a
machine is killed when 30 % of the shards are there, and one joins at 60 %. The features are
compared to the byte, and shards that were written more than once are counted. It exits with 1 if
anything differs.

With `--overhead`, one machine of the cluster has all cores, nothing is killed, and the runs
alternate.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from interleaved import machine, spread
from PIL import Image
from ray_machines import kill_machine, started

from pipeline.features.shards import images_per_shard

RECIPE = """\
name: crops
data: {{source: image_folder, path: {images}, validation: 0.01}}
model: {{architecture: transfer, base: MobileNetV2, weights: {weights}}}
training: {{epochs: 1, early_stopping: {{patience: null}}}}
runtime: {{precision: int8}}  # a race could choose another engine each time
"""
SIZE = 224
SECONDS = 3000.0  # after which a run counts as stuck


def write_crops(photographs: Path, folder: Path, count: int) -> None:
    """Write crops of photographs, mirrored or not, of two classes."""
    files = sorted((photographs / "train").glob("*/*.jpg"))
    generator = np.random.default_rng(0)
    for number in range(count):
        source = files[number % len(files)]
        target = folder / source.parent.name / f"{number:06d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(source) as opened:
            width, height = opened.size
            side = int(generator.uniform(0.5, 1) * min(width, height))
            left, top = generator.integers(0, (width - side + 1, height - side + 1)).tolist()
            crop = opened.convert("RGB").crop((left, top, left + side, top + side))
        crop.resize((SIZE, SIZE)).save(target, quality=85)


class Run:
    """One `pipeline run`, with a cache and a store of its own."""

    def __init__(self, folder: Path, recipe: str, *, cluster: str | None) -> None:
        folder.mkdir()
        (folder / "recipe.yaml").write_text(recipe)
        self._folder, self._messages = folder, folder / "messages.txt"
        environment = {**os.environ, "PIPELINE_CACHE": str(folder / "cache")}
        if cluster:
            environment["RAY_ADDRESS"] = cluster
        address = "auto" if cluster else "local"
        command = ["pipeline", "run", "recipe.yaml", "--set", f"runtime.cluster={address}"]
        self._started = time.monotonic()
        with self._messages.open("wb") as messages:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=folder,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=messages,
            )
        self.written: dict[str, set[int]] = {}  # when each shard was written

    def wait(self, condition: Callable[[], bool] = lambda: False) -> None:
        """Wait until a condition holds, or the run has ended."""
        while self._process.poll() is None and not condition():
            assert time.monotonic() - self._started < SECONDS, "The run is stuck."
            for file in (self._folder / "cache" / "shards").glob("*/*.npz"):
                try:
                    self.written.setdefault(file.name, set()).add(file.stat().st_mtime_ns)
                except FileNotFoundError:  # they have been put together
                    break
            time.sleep(0.05)
        self.seconds = time.monotonic() - self._started
        if self._process.returncode:
            sys.exit(self._messages.read_text())

    def messages(self, pattern: str) -> list[str]:
        """Return the messages that a regular expression matches."""
        return [
            line for line in self._messages.read_text().splitlines() if re.search(pattern, line)
        ]

    def images_per_second(self) -> float:
        """Return how fast the features of the training images were computed."""
        (line,) = self.messages("Computed features of .* train images")
        found = re.search(r"([\d,.]+) images/s", line)
        assert found
        return float(found[1].replace(",", ""))

    def digests(self) -> dict[str, str]:
        """Return the digest of each file of the features of the training images."""
        entries = (self._folder / "cache").glob("*/entry.json")
        (entry,) = [path for path in entries if "train" in json.loads(path.read_text())["label"]]
        files = sorted(entry.parent.glob("*.npy"))
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def disturbed(folder: Path, recipe: str, shards: int) -> dict[str, Any]:
    """Compute the features in one process, and on three machines of which one dies."""
    alone = Run(folder / "alone", recipe, cluster=None)
    alone.wait()
    with started(3, cores=1) as (cluster, machines):
        run = Run(folder / "cluster", recipe, cluster=cluster.address)
        run.wait(lambda: len(run.written) >= 0.3 * shards)
        killed_at = len(run.written)
        kill_machine(machines[0])
        run.wait(lambda: len(run.written) >= 0.6 * shards)
        cluster.add_node(num_cpus=1)
        run.wait()
    return {
        "shards": len(run.written),
        "there when a machine was killed": killed_at,
        "written more than once": [name for name, times in run.written.items() if len(times) > 1],
        "machines lost": len(run.messages("is gone")),
        "files of the same bytes": [
            name for name, digest in alone.digests().items() if run.digests()[name] == digest
        ],
        "files of other bytes": [
            name for name, digest in alone.digests().items() if run.digests()[name] != digest
        ],
        "computed": [run.messages("Computed features of"), alone.messages("Computed features of")],
        "seconds": {"one process": alone.seconds, "cluster": run.seconds},
    }


def main() -> None:
    """Print what became of the shards, or the overhead."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--overhead", action="store_true")
    parser.add_argument("--pairs", type=int, default=2)
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_crops(given.photographs.absolute(), folder / "images", given.images)
        recipe = RECIPE.format(images=folder / "images", weights=given.weights.absolute())
        if given.overhead:
            print_overhead(folder, recipe, given.pairs)
            return
        images = int(given.images * 0.99)
        result = disturbed(folder, recipe, shards=-(-images // images_per_shard(images, 2600)))
    print(json.dumps(result, indent=1))
    sound = not result["files of other bytes"] and not result["written more than once"]
    sys.exit(0 if sound and result["machines lost"] == 1 else 1)


def print_overhead(folder: Path, recipe: str, pairs: int) -> None:
    """Print the times of runs without and with Ray on one machine, and their ratio."""
    ratios: list[float] = []
    rates: list[float] = []
    for pair in range(pairs):
        alone = Run(folder / f"alone {pair}", recipe, cluster=None)
        alone.wait()
        with started(1, cores=os.cpu_count() or 1) as (cluster, _):
            run = Run(folder / f"cluster {pair}", recipe, cluster=cluster.address)
            run.wait()
        ratios.append(run.seconds / alone.seconds)
        rates.append(alone.images_per_second() / run.images_per_second())
        print(
            f"one process {alone.seconds:.1f} s, {alone.images_per_second():.0f} images/s; "
            f"Ray {run.seconds:.1f} s, {run.images_per_second():.0f} images/s"
        )
    print(f"time of the whole run, with Ray against without: {spread(ratios, 3)}")
    print(f"time of the features, with Ray against without: {spread(rates, 3)}")


if __name__ == "__main__":
    main()
