"""Grayscale images of 12 bits: a run, and predictions of its model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.evaluation.predictions import read_predictions
from pipeline.inference.model_interface import load_interface
from pipeline.recipe.loader import load_recipe
from pipeline.tracking.lookup import files_of, find_model
from pipeline.tracking.store import open_store
from pipeline.workflows.single_run import run

RECIPE = """\
data: {source: image_folder, path: digits, image_size: [8, 8], channels: 1, resize: squash}
model: {architecture: mlp, hidden: [32]}
optimizer: {learning_rate: 1e-2}
training: {epochs: 12}
"""


@pytest.fixture
def detector(digit_files: Path, in_empty_folder: Path) -> Path:
    """Digits 0 and 1 as a detector of 12 bits takes them."""
    for digit in "01":
        directory = in_empty_folder / "digits" / digit
        directory.mkdir(parents=True)
        for number, path in enumerate(sorted(digit_files.glob(f"*_{digit}.png"))):
            with Image.open(path) as image:
                samples = np.asarray(image.convert("L")).astype(np.uint16) * 16
            suffix = ("png", "tiff", "")[number % 3]
            Image.fromarray(samples).save(
                directory / f"{number}.{suffix}".rstrip("."), suffix or "png"
            )
    return in_empty_folder


def test_prediction_scales_samples_as_training_did(detector: Path) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    result = run(load_recipe(Path("recipe.yaml")))
    assert result.metrics["val_accuracy"] > 0.9
    store = open_store(None)
    with files_of(store, find_model(store, "latest")) as directory:
        interface = load_interface(directory / "data")
    decoding = interface.image_decoding
    assert (decoding.channels, decoding.value_range) == (1, (0, 4095))
    path = store.client.download_artifacts(result.run_id, "predictions/val.parquet", str(detector))
    names = read_predictions(Path(path)).names
    assert len(names)
    assert max(interface.read(detector / "digits" / name).max() for name in names) > 240
