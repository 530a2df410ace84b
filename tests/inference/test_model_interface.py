"""What goes into a model and what comes out of it, as a file beside the model says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.digits import DigitsConfig
from pipeline.data.image_files import ImageFiles
from pipeline.errors import ModelError
from pipeline.inference import model_interface as interfaces
from pipeline.inference.model_interface import ModelInterface

GRAY = ModelInterface(class_names=("no", "yes"), image_size=(8, 8), channels=1, resize="squash")


def test_it_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    GRAY.save(tmp_path)
    assert interfaces.load_interface(tmp_path) == GRAY


@pytest.mark.parametrize("resize", ["crop", "pad", "squash"])
def test_a_photograph_is_read_as_training_reads_it(photographs: Path, resize: str) -> None:
    path = next((photographs / "val" / "bees").iterdir())
    rgb = ModelInterface(("ants", "bees"), (64, 48), 3, resize)
    (trained,) = ImageFiles([path], (64, 48), resize).read(np.arange(1))
    np.testing.assert_array_equal(rgb.read(path), trained)


def test_a_gray_image_scaled_from_a_file_is_what_training_scales(digit_files: Path) -> None:
    keys = DigitsConfig(source="digits", image_size=(28, 28), validation=0.01, test=0.0)
    train = keys.load().train
    (trained,) = train.images.read(np.arange(1))
    (file,) = digit_files.glob(f"{int(train.names[0]):03}_*.png")
    scaled = ModelInterface(tuple("0123456789"), (28, 28), 1, "squash").read(file)
    np.testing.assert_array_equal(scaled, trained)


def test_a_folder_without_it_is_no_model_s(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as refused:
        interfaces.load_interface(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path}/interface.json does not say what the model takes and gives: [Errno 2] No such "
        f"file or directory: '{tmp_path}/interface.json'. Expected the folder of a model that "
        "`pipeline run` logged."
    )


def test_what_cannot_be_done_to_images_is_refused(tmp_path: Path) -> None:
    GRAY.save(tmp_path)
    content = json.loads((tmp_path / "interface.json").read_text())
    (tmp_path / "interface.json").write_text(json.dumps({**content, "resize": "stretch"}))
    with pytest.raises(ModelError) as refused:
        interfaces.load_interface(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path}/interface.json: expected 1 or 3 channels and to crop, pad or squash. "
        "Received: 1 and 'stretch'."
    )
