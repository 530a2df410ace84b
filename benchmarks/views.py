"""How many augmented views of each image a head on a frozen base should be trained on.

    python benchmarks/views.py --photographs FOLDER --tiles FOLDER --scenes FOLDER \
        --base MobileNetV2=mobilenet_v2_notop.weights.h5 --base resnet18.keras

For each data set, base and number of views, the mean over the seeds of the validation log loss and
accuracy, with the number of views that differ. The images are flipped, rotated and zoomed, so that
every view differs. What a view costs is `features/images_per_second` of the same runs. Of the
scenes, the photographs with a single label are used.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from interleaved import machine
from uncertainty import located

NUMBERS = (1, 2, 5, 10, 20, 40)
RECIPE = """\
name: views
data:
  source: image_folder
  path: {path}
  image_size: [224, 224]
  {split}
  augmentation:
    - random_flip: {{mode: horizontal}}
    - random_rotation: {{factor: 0.05}}
    - random_zoom: {{height_factor: 0.1}}
model: {{architecture: transfer, base: {base}{weights}}}
regularization: {{l2: 1e-2, initializer: zeros}}
optimizer: {{name: adam, learning_rate: 3e-3, schedule: {{cosine: {{}}}}}}
training: {{epochs: 60, early_stopping: {{monitor: val_log_loss, patience: 20}}}}
tracking: {{verify_model: false}}
"""


def single_label_scenes(scenes: Path, folder: Path) -> None:
    """Link the photographs that have one label into a directory for each class."""
    with (scenes / "labels.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            name = row.pop("Filenames")
            labels = [label for label, value in row.items() if value == "1"]
            if len(labels) == 1:
                place = folder / labels[0]
                place.mkdir(parents=True, exist_ok=True)
                (place / name).symlink_to((scenes / "images" / name).absolute())


def measured(recipe: Path, views: int, seeds: int) -> dict[str, dict[str, float]]:
    """Return the metrics over several seeds of a recipe."""
    command = [sys.executable, "-m", "pipeline", "run", str(recipe), "--json"]
    command += ["--set", f"training.views={views}", "--seeds", str(seeds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    metrics: dict[str, dict[str, float]] = json.loads(done.stdout)["metrics"]
    return metrics


def main() -> None:
    """Print a table for each data set and base."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("photographs", "tiles", "scenes"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--base", action="append", default=[], help="NAME=WEIGHTS or a .keras file")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    bases = [located(base) for base in options.base]
    photographs, tiles = (path.absolute() for path in (options.photographs, options.tiles))
    scenes = options.scenes.absolute()
    print(f"on {machine()}; {options.seeds} seeds", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        os.environ["PIPELINE_CACHE"] = f"{scratch}/cache"
        single_label_scenes(scenes, Path("scenes"))
        drawn = "validation: 0.3"
        sources = {
            "ants and bees": (photographs, ""),
            "magnetic tiles": (tiles, drawn),
            "scenes": (Path("scenes").absolute(), drawn),
        }
        for title, (path, split) in sources.items():
            for base in bases:
                network, _, weights = base.rpartition("=")
                recipe = Path("recipe.yaml")
                values = {
                    "base": network or weights,
                    "weights": f", weights: {weights}" if network else "",
                }
                recipe.write_text(RECIPE.format(path=path, split=split, **values))
                for views in NUMBERS:
                    found = measured(recipe, views, options.seeds)
                    spreads = {name: found[f"val_{name}"] for name in ("log_loss", "accuracy")}
                    cells = "  ".join(
                        f"{name} {spread['mean']:.4f} ± {spread['std']:.4f}"
                        for name, spread in spreads.items()
                    )
                    print(f"{title}, {Path(values['base']).stem}, {views:>2} views: {cells}")
                    sys.stdout.flush()


if __name__ == "__main__":
    main()
