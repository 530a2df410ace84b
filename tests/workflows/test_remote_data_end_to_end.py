"""Runs on data of an S3 server, which are those on a copy of it on this machine."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from mlflow import MlflowClient

from pipeline.recipe.loader import load_recipe
from pipeline.storage import file_system
from pipeline.workflows.run_result import RunResult
from pipeline.workflows.single_run import run

pytestmark = pytest.mark.slow

FOLDER = "data: {{source: image_folder, path: '{path}', image_size: [24, 24], test: 0.2}}\n"
TABLE = "data: {{source: table, path: '{path}', image_size: [24, 24], validation: 0.3}}\n"
MODEL = (
    "name: insects\n"
    "model: {architecture: transfer, base: base.keras}\n"
    "training: {epochs: 2}\n"
    "tracking: {uri: 'sqlite:///runs.db'}\n"
)


@pytest.fixture
def bucket(s3: str, few_photographs: Path, in_empty_folder: Path) -> str:
    """A folder of an S3 server with the photographs, and base.keras in the working folder."""
    pixels = keras.Input((24, 24, 3))
    features = keras.layers.Conv2D(4, 3, strides=8, name="convolution")(pixels)
    keras.Model(pixels, features, name="base").save("base.keras")
    system, path = file_system(f"{s3}/insects")
    system.put(f"{few_photographs}/", f"{path}/", recursive=True)
    return f"{s3}/insects"


def run_of(data: str, path: Path | str, *overrides: str) -> RunResult:
    Path("recipe.yaml").write_text(data.format(path=path) + MODEL)
    return run(load_recipe(Path("recipe.yaml"), overrides))


def logged_run(result: RunResult) -> Any:
    return MlflowClient("sqlite:///runs.db").get_run(result.run_id)


def datasets_of(result: RunResult) -> dict[str, str]:
    """Return the digest of each split of a run, by its context."""
    inputs = logged_run(result).inputs.dataset_inputs
    return {each.tags[0].value: each.dataset.digest for each in inputs}


def evaluated(result: RunResult) -> dict[str, float]:
    """Return the metrics of the validation and test images."""
    metrics = result.metrics.items()
    return {name: value for name, value in metrics if name.startswith(("val_", "test_"))}


def test_a_run_is_that_on_a_local_copy_and_shares_its_features(
    bucket: str, few_photographs: Path, messages: list[str]
) -> None:
    local = run_of(FOLDER, few_photographs)
    messages.clear()
    remote = run_of(FOLDER, bucket)
    assert any(message.startswith("Using cached features") for message in messages)
    assert evaluated(remote) == evaluated(local) != {}
    assert datasets_of(remote) == datasets_of(local) != {}
    assert logged_run(remote).data.params["data.path"] == bucket


def test_an_augmented_run_reads_pixels_from_the_cache(
    bucket: str, few_photographs: Path, cache: Path
) -> None:
    keys = ("data.augmentation=[{random_flip: {mode: horizontal}}]", "data.cache_gb=1e-5")
    remote, local = run_of(FOLDER, bucket, *keys), run_of(FOLDER, few_photographs, *keys)
    assert evaluated(remote) == evaluated(local) != {}
    downloaded = [path for path in (cache / "downloads").rglob("*") if len(path.name) == 64]
    assert 0 < sum(path.stat().st_size for path in downloaded) <= 1e-5 * 2**30


def test_signed_addresses_leave_no_signature(
    bucket: str, few_photographs: Path, cache: Path
) -> None:
    system, root = file_system(bucket)
    files = sorted((few_photographs / "train").rglob("*.png"))
    names = [str(path.relative_to(few_photographs)) for path in files]
    addresses = [str(system.sign(f"{root}/{name}")) for name in names]
    rows = [f"{address},{Path(n).parent.name}" for address, n in zip(addresses, names, strict=True)]
    Path("labels.csv").write_text("\n".join(("image,label", *rows)))
    signatures = [address.partition("Signature=")[2].partition("&")[0] for address in addresses]
    assert all(len(signature) > 20 for signature in signatures)
    result = run_of(TABLE, "labels.csv")
    assert logged_run(result).data.metrics["count/train"] == 28
    for folder in (Path(), cache):
        for path in folder.rglob("*"):
            if path.is_file() and path.name != "labels.csv":
                content = path.read_bytes()
                assert not any(signature.encode() in content for signature in signatures), path


def test_images_are_read_in_another_process(bucket: str, tmp_path: Path) -> None:
    code = (
        "import pickle, sys, numpy as np\n"
        "split = pickle.load(sys.stdin.buffer)\n"
        "print(split.images.read(np.arange(len(split))).sum())\n"
    )
    Path("recipe.yaml").write_text(FOLDER.format(path=bucket) + MODEL)
    split = load_recipe(Path("recipe.yaml")).recipe.data.load().train
    everything = np.arange(len(split))
    part = replace(split, images=split.images.part(everything))
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(part),
        capture_output=True,
        env={**os.environ, "PIPELINE_CACHE": str(tmp_path / "of another machine")},
        check=True,
    )
    assert int(done.stdout) == split.images.read(everything).sum()
    assert (tmp_path / "of another machine" / "downloads").is_dir()
