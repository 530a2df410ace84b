"""How long a start takes on many images, without and with the index of the data set.

    python benchmarks/data_index.py [--images 100000] [--directory DIRECTORY]

It generates JPEG files of 64 × 64 pixels, and measures, each in a process of its own, `load()` of
the data source without its imports: the first start, which reads every file, beside Pillow that
decodes the same files in as many threads; and the second start, which takes the state of each. The
memory of an image is what the second start takes more than one on 1,000 images. Then it runs a
recipe with an MLP twice.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from interleaved import machine
from transfer import process

FEW = 1_000
CLASSES = 10
RECIPE = """\
data: {{source: image_folder, path: {path}, image_size: [64, 64], batch_size: 256}}
model: {{architecture: mlp, hidden: [32]}}
training: {{epochs: 1}}
tracking: {{verify_model: false}}
"""


def generate(directory: Path, count: int) -> None:
    """Write so many different images, in a directory for each class."""
    import numpy as np
    from PIL import Image

    generator = np.random.default_rng(0)
    for label in range(CLASSES):
        (directory / f"class_{label}").mkdir(parents=True)
    for number in range(count):
        coarse = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((64, 64))
        image.save(directory / f"class_{number % CLASSES}" / f"{number:07}.jpg")


def decode(directory: Path) -> dict[str, float]:
    """Decode every image with Pillow, in as many threads as there are processors."""
    import numpy as np
    from PIL import Image

    files = sorted(directory.rglob("*.jpg"))

    def decode_some(start: int) -> None:
        for file in files[start : start + 64]:
            with Image.open(file) as image:
                np.asarray(image.convert("RGB"))

    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(decode_some, range(0, len(files), 64)))
    return {"seconds": time.perf_counter() - started}


def load(directory: Path) -> dict[str, float]:
    """Load the images as a run does."""
    from pipeline.data import image_files, image_index, picture_copies, split_assignment
    from pipeline.data.image_folder import ImageFolderConfig

    # Imported before the measurement: these are what `load` imports.
    assert all((image_files, image_index, picture_copies, split_assignment))
    config = ImageFolderConfig(source="image_folder", path=directory, image_size=(64, 64))
    gc.collect()
    before, started = resident_bytes(), time.perf_counter()
    splits = config.load()
    seconds = time.perf_counter() - started
    gc.collect()
    return {
        "seconds": seconds,
        "resident": resident_bytes() - before,
        "images": sum(len(split) for split in splits.named().values()),
    }


def resident_bytes() -> int:
    """Return the memory of this process (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def child(role: str, directory: Path, cache: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, f"--{role}", str(directory)]
    return process(command, Path.cwd(), PIPELINE_CACHE=str(cache))


def measure(folder: Path, count: int) -> None:
    few, many, cache = folder / "few", folder / "many", folder / "cache"
    generate(few, FEW)
    generate(many, count)
    time.sleep(2.1)  # files that were just written are read again by the next start
    bare = child("decode", many, cache)
    child("load", few, cache)
    small = child("load", few, cache)
    first, second = child("load", many, cache), child("load", many, cache)
    assert first["images"] == second["images"] == count
    for name, run in (("Pillow alone", bare), ("first start", first), ("second start", second)):
        print(f"{name}: {run['seconds']:.2f} s, {count / run['seconds']:,.0f} images/s")
    each = (second["resident"] - small["resident"]) / (count - FEW)
    print(
        f"memory: {each:.0f} bytes an image; peak of the second start {second['peak_mib']:.0f} MiB"
    )
    (folder / "recipe.yaml").write_text(RECIPE.format(path=many))
    command = [sys.executable, "-m", "pipeline", "run", str(folder / "recipe.yaml"), "--json"]
    for name in ("first", "second"):
        run = process(command, folder, PIPELINE_CACHE=str(folder / "cache of runs"))
        print(f"{name} run: {run['wall']:.1f} s, by stage {json.dumps(run['seconds'])}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--directory", type=Path, help="for the images; default: a temporary one")
    parser.add_argument("--load", type=Path, help="load a directory, as JSON")
    parser.add_argument("--decode", type=Path, help="decode a directory, as JSON")
    options = parser.parse_args()
    if options.load:
        print(json.dumps(load(options.load)))
    elif options.decode:
        print(json.dumps(decode(options.decode)))
    else:
        print(f"on {machine()}; {options.images:,} JPEG files of 64 × 64 pixels")
        with tempfile.TemporaryDirectory(dir=options.directory) as folder:
            measure(Path(folder), options.images)


if __name__ == "__main__":
    main()
