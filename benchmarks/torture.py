"""What is promised when things go wrong, tried at random: kills, damaged images, broken recipes.

    python benchmarks/torture.py kills --mnist mnist.npz
    python benchmarks/torture.py kills --photographs FOLDER --weights mobilenet_v2_notop.weights.h5
    python benchmarks/torture.py images --photographs FOLDER
    python benchmarks/torture.py recipes

`kills` ends a run at random moments (SIGKILL, SIGINT or SIGTERM), lets it go on until it is done
and compares it with one that nothing disturbed, until it has killed as often as asked. `images`
damages photographs at random bytes and reads them. `recipes` changes the shipped recipes at random,
their keys, types, nesting and bytes, and validates them. Each exits with 1 if a promise is
broken.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

MNIST = """\
name: torture
data: {{source: mnist, path: '{mnist}', batch_size: 512}}
model: {{architecture: lenet, activation: relu, pooling: max}}
regularization: {{dropout: 0.3, batch_norm: true}}
optimizer: {{learning_rate: 2e-3, schedule: {{plateau: {{patience: 1}}}}}}
training: {{epochs: 4, early_stopping: {{patience: 3}}}}
"""
FINE_TUNING = """\
name: torture
data:
  source: image_folder
  path: '{photographs}'
  image_size: [96, 96]
  augmentation: [{{random_flip: {{}}}}]
model: {{architecture: transfer, base: MobileNetV2, weights: '{weights}', hidden: [32]}}
regularization: {{dropout: 0.3}}
optimizer: {{learning_rate: 1e-3, schedule: {{cosine: {{}}}}}}
training: {{epochs: 8, views: 3, fine_tune: {{from: block_16, epochs: 6, learning_rate: 1e-4}}}}
"""
# Speeds, and how long the machine took, are no property of the model.
NOT_COMPARED = ("seconds/", "features/images_per_second")
SECONDS_TO_LEAVE = 2.0


def kills(arguments: argparse.Namespace, chance: random.Random) -> bool:
    """Kill runs at random moments; return whether all ended as the undisturbed one did."""
    if arguments.mnist:
        recipe = MNIST.format(mnist=arguments.mnist.absolute())
    else:
        recipe = FINE_TUNING.format(
            photographs=arguments.photographs.absolute(), weights=arguments.weights.absolute()
        )
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        expected = finish(Path(folder, "undisturbed"), recipe)
        lasted = time.monotonic() - started
        print(f"undisturbed: {lasted:.1f} s, {expected['epochs']} epochs", flush=True)
        done = failed = 0
        left: dict[str, list[float]] = {"SIGINT": [], "SIGTERM": []}
        while done < arguments.count:
            place = Path(folder, f"disturbed-{done}")
            moments: list[str] = []
            while done < arguments.count:
                number = chance.choice(
                    [signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM]
                )
                moment = chance.uniform(0.5, lasted)
                started = time.monotonic()
                process = begin(place, recipe)
                try:
                    process.wait(moment)
                    if not moments:  # it was done before: the machine is faster now
                        lasted = time.monotonic() - started
                    break
                except subprocess.TimeoutExpired:
                    process.send_signal(number)
                sent = time.monotonic()
                code = process.wait()
                took = time.monotonic() - sent
                if number != signal.SIGKILL:
                    left[number.name].append(took)
                done += 1
                moments.append(f"{number.name} at {moment:.1f} s ({kept(place)})")
                if number != signal.SIGKILL and code not in (0, 130):
                    failed += 1
                    print(f"FAILED: {number.name} at {moment:.1f} s ended with {code}")
                if code == 0:
                    break
            problems = differences(expected, finish(place, recipe), place)
            failed += bool(problems)
            print(
                f"{', '.join(moments) or 'no kill'}: {'; '.join(problems) or 'equal'}", flush=True
            )
        for name, seconds in left.items():
            if seconds:
                print(f"{name}: {len(seconds)} times, left within {max(seconds):.2f} s at the most")
        slow = sum(second > SECONDS_TO_LEAVE for seconds in left.values() for second in seconds)
        print(f"{done} kills, {failed} failures, {slow} not left within {SECONDS_TO_LEAVE} s")
    return not failed


def begin(place: Path, recipe: str) -> subprocess.Popen[str]:
    """Start the run, or go on with it, in a folder of its own."""
    place.mkdir(exist_ok=True)
    (place / "recipe.yaml").write_text(recipe)
    command = [sys.executable, "-m", "pipeline", "run", "recipe.yaml", "--json"]
    if list(place.glob("mlruns/checkpoints/*/origin.json")):
        command += ["--resume", "latest"]
    (place / "output").mkdir(exist_ok=True)
    return subprocess.Popen(
        command,
        cwd=place,
        env={**os.environ, "PIPELINE_CACHE": str(place / "cache")},
        stdout=(place / "output" / "out").open("w"),
        stderr=(place / "output" / "err").open("a"),
        text=True,
    )


def finish(place: Path, recipe: str) -> dict[str, Any]:
    """Let the run end, and return what it printed."""
    out = place / "output" / "out"
    if not (out.exists() and out.read_text().strip()):
        process = begin(place, recipe)
        if process.wait():
            sys.exit(f"{place} failed:\n{(place / 'output' / 'err').read_text()[-3000:]}")
    result: dict[str, Any] = json.loads(out.read_text())
    return result


def kept(place: Path) -> str:
    """Return the epoch of the newest checkpoint, for people."""
    names = sorted(path.name[6:12] for path in place.glob("mlruns/checkpoints/*/epoch-*.npz"))
    return f"epoch {int(names[-1])}" if names else "no epoch"


def differences(expected: dict[str, Any], result: dict[str, Any], place: Path) -> list[str]:
    """Return what is not as in the undisturbed run, in its result and in MLflow."""
    import mlflow

    def compared(metrics: dict[str, float]) -> dict[str, float]:
        return {n: v for n, v in metrics.items() if not n.startswith(NOT_COMPARED)}

    problems = []
    if compared(result["metrics"]) != compared(expected["metrics"]):
        problems.append("other metrics")
    if (result["epochs"], result["best_epoch"]) != (expected["epochs"], expected["best_epoch"]):
        problems.append("other epochs")
    client = mlflow.MlflowClient(f"sqlite:///{place / 'mlruns' / 'mlflow.db'}")
    run = client.get_run(result["run_id"])
    if run.info.status != "FINISHED":
        problems.append(f"state {run.info.status}")
    if len(run.outputs.model_outputs) != 1:
        problems.append(f"{len(run.outputs.model_outputs)} models")
    for name in run.data.metrics:
        steps = [metric.step for metric in client.get_metric_history(run.info.run_id, name)]
        whole = range(1, expected["epochs"] + 1) if name.startswith("epoch/") else [0]
        if steps != list(whole):
            problems.append(f"{name} has the steps {steps}")
    others = client.search_runs([run.info.experiment_id], "attributes.status = 'RUNNING'")
    if others:
        problems.append(f"{len(others)} runs RUNNING")
    return problems


def images(arguments: argparse.Namespace, chance: random.Random) -> bool:
    """Damage photographs at random bytes; return whether each was left out or read as itself."""
    import numpy as np

    from pipeline.data import image_folder
    from pipeline.data.image_decoding import BadImageError, Decoding, decode_image

    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder, "photographs")
        shutil.copytree(arguments.photographs, copied)
        files = sorted(path for path in copied.rglob("*") if path.is_file())
        damaged = chance.sample(files, arguments.count)
        for path in damaged:
            content = bytearray(path.read_bytes())
            damage = chance.choice(["bytes", "bytes", "end", "hole"])
            place = chance.randrange(len(content))
            if damage == "bytes":
                for _ in range(chance.randint(1, 50)):
                    content[chance.randrange(len(content))] = chance.randrange(256)
            elif damage == "end":
                del content[place:]
            else:
                content[place : place + 1000] = bytes(len(content[place : place + 1000]))
            path.write_bytes(content)
        keys = image_folder.ImageFolderConfig(
            source="image_folder", path=copied, image_size=(64, 64), max_bad=1.0
        )
        splits = keys.load()
        left_out = {file.name for file in splits.quarantined}
        wrong = 0
        for split in splits.named().values():
            pixels = split.images.read(np.arange(len(split)))
            for name, image, label in zip(split.names, pixels, split.labels, strict=True):
                try:
                    own = decode_image((copied / name).read_bytes(), Decoding((64, 64), "crop"))
                except BadImageError:
                    wrong += 1
                    continue
                is_own = np.array_equal(own, image)
                wrong += not (is_own and splits.class_names[label] in Path(name).parts)
        read = sum(len(split) for split in splits.named().values())
        names = {str(path.relative_to(copied)) for path in damaged}
        innocent = len(left_out - names)
        print(
            f"{len(files)} photographs, {len(damaged)} of them damaged: {read} read, "
            f"{len(left_out)} left out ({innocent} of them undamaged), {wrong} not themselves"
        )
        return not wrong and read + len(left_out) == len(files)


def recipes(arguments: argparse.Namespace, chance: random.Random) -> bool:
    """Validate recipes changed at random; return whether each ended in 0 or 2 with no traceback."""
    from pipeline.cli import main
    from pipeline.recipe.shipped import shipped_recipes

    texts = [path.read_text(encoding="utf-8") for path in shipped_recipes().values()]
    ended: Counter[str] = Counter()
    broken, slowest = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "recipe.yaml")
        for _ in range(arguments.count):
            path.write_bytes(mutated(chance.choice(texts), chance))
            said = io.StringIO()
            started = time.perf_counter()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                try:
                    code: Any = main(["validate", str(path)])
                except BaseException as error:
                    code = type(error).__name__
            seconds = time.perf_counter() - started
            slowest = max(slowest, seconds)
            ended[str(code)] += 1
            if code not in (0, 2) or "Traceback" in said.getvalue() or seconds > 1:
                broken += 1
                kept = Path(tempfile.mkdtemp(prefix="torture-")) / "recipe.yaml"
                shutil.copy(path, kept)
                print(f"BROKEN: exit {code} in {seconds:.2f} s: {kept}\n{said.getvalue()[-500:]}")
    codes = ", ".join(f"{count} times exit {code}" for code, count in sorted(ended.items()))
    print(f"{arguments.count} recipes: {codes}; the slowest took {slowest:.2f} s; {broken} broken")
    return not broken


ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    10**400,
    1e-320,
    float("nan"),
    "",
    "no",
    "${HOME}",
    "${",
    "a\x00b",
    "é" * 300,
]
ODD += [
    "../" * 50,
    [],
    {},
    [[]],
    {"": {"": {}}},
    ["a", 1, None],
    {1: 2},
    "!!python/object:os.system",
]


def mutated(text: str, chance: random.Random) -> bytes:
    """Return a recipe with a few random changes, to its values or to its bytes."""
    if chance.random() < 0.6:
        tree = yaml.safe_load(text)
        for _ in range(chance.randint(1, 4)):
            mutate(tree, chance)
        with contextlib.suppress(yaml.YAMLError, ValueError):
            text = yaml.safe_dump(tree, allow_unicode=True)
    content = bytearray(text.encode())
    if chance.random() < 0.6:
        for _ in range(chance.randint(1, 8)):
            place = chance.randrange(len(content) + 1)
            what = chance.choice(["byte", "cut", "copy", "put"])
            if what == "byte":
                content[place:place] = bytes([chance.randrange(256)])
            elif what == "cut":
                del content[place : place + chance.randint(1, 20)]
            elif what == "copy":
                content[place:place] = content[place : place + chance.randint(1, 200)]
            else:
                content[place:place] = chance.choice(
                    [b"&a [", b"*a", b"{", b"]", b": ", b"\n- ", b"\t", b"!!", b"<<: ", b"[" * 3000]
                )
    return bytes(content)


def mutate(tree: Any, chance: random.Random) -> None:
    """Change one place of a recipe's values."""
    node = tree
    while True:
        places = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not places:
            return
        place = chance.choice(places)
        inner = node[place]
        if isinstance(inner, dict | list) and inner and chance.random() < 0.8:
            node = inner
            continue
        break
    what = chance.choice(["odd", "remove", "rename", "wrap", "move"])
    if what == "odd":
        node[place] = chance.choice(ODD)
    elif what == "remove":
        del node[place]
    elif what == "rename" and isinstance(node, dict):
        name = str(place)
        cut = chance.randrange(len(name) + 1)
        node[name[:cut] + chance.choice(["x", "", ".", "é"]) + name[cut + 1 :]] = node.pop(place)
    elif what == "wrap":
        node[place] = chance.choice([[inner], {str(place): inner}, str(inner)])
    else:
        tree[str(place)] = inner


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("what", choices=["kills", "images", "recipes"])
    parser.add_argument("--mnist", type=Path)
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.count = (
        arguments.count or {"kills": 20, "images": 200, "recipes": 1000}[arguments.what]
    )
    # In the background of a shell it is ignored, which the runs would inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    chance = random.Random(arguments.seed)
    job = {"kills": kills, "images": images, "recipes": recipes}[arguments.what]
    sys.exit(0 if job(arguments, chance) else 1)


if __name__ == "__main__":
    main()
