"""The interface of a model, and its file."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data.digits import DigitsConfig
from pipeline.data.file_root import FileRoot
from pipeline.data.image_decoding import Decoding, Resize
from pipeline.data.image_files import ImageFiles
from pipeline.errors import ModelError, UsageError
from pipeline.evaluation.conformal import ConformalCalibration
from pipeline.inference.feature_distance import DistanceConfig
from pipeline.inference.model_interface import ModelInterface, load_interface

GRAY = ModelInterface(
    task="classification", class_names=("no", "yes"), decoding=Decoding((8, 8), "squash", 1)
)


def test_it_survives_saving_and_loading(tmp_path: Path) -> None:
    GRAY.save(tmp_path)
    assert load_interface(tmp_path) == GRAY


CALIBRATED = replace(
    GRAY,
    conformal=ConformalCalibration(200, {0.9: 0.25, 0.99: 0.01}),
    distance=DistanceConfig("features", 5, 0.8, 200, "ab" * 32),
)


def test_the_calibration_survives_saving_and_loading(tmp_path: Path) -> None:
    CALIBRATED.save(tmp_path)
    assert load_interface(tmp_path) == CALIBRATED


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("conformal", {"images": 3, "thresholds": {"0.9": "nan"}}),
        ("conformal", {"images": 3, "thresholds": {"9": 0.5}}),
        ("conformal", {"images": 3, "thresholds": [0.5]}),
        ("conformal", {"thresholds": {}}),
        ("conformal", 7),
        ("distance", {}),
        ("distance", {**asdict(CALIBRATED)["distance"], "neighbors": 0}),
        ("distance", {**asdict(CALIBRATED)["distance"], "threshold": float("inf")}),
    ],
)
def test_a_calibration_that_is_none_is_an_error(tmp_path: Path, key: str, value: object) -> None:
    CALIBRATED.save(tmp_path)
    path = tmp_path / "interface.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ModelError, match="cannot be read"):
        load_interface(tmp_path)


@pytest.mark.parametrize("resize", ["crop", "pad", "squash"])
def test_a_photograph_is_read_as_training_reads_it(photographs: Path, resize: Resize) -> None:
    path = next((photographs / "val" / "bees").iterdir())
    rgb = ModelInterface("classification", ("ants", "bees"), Decoding((64, 48), resize))
    (trained,) = ImageFiles(FileRoot(path.parent), [path.name], Decoding((64, 48), resize)).read(
        np.arange(1)
    )
    np.testing.assert_array_equal(rgb.read(path), trained)


def test_a_gray_image_scaled_from_a_file_is_what_training_scales(digit_files: Path) -> None:
    keys = DigitsConfig(source="digits", image_size=(28, 28), validation=0.01, test=0.0)
    train = keys.load().train
    (trained,) = train.images.read(np.arange(1))
    (file,) = digit_files.glob(f"{int(train.names[0]):03}_*.png")
    gray = Decoding((28, 28), "squash", 1)
    scaled = ModelInterface("classification", tuple("0123456789"), gray).read(file)
    np.testing.assert_array_equal(scaled, trained)


@pytest.mark.parametrize("value_range", [(0.0, 4095.0), (-1024.0, 3071.0), None])
def test_the_range_of_samples_is_kept(
    tmp_path: Path, value_range: tuple[float, float] | None
) -> None:
    Image.fromarray(np.full((8, 8), 1023, np.uint16)).save(tmp_path / "dark.png")
    decoding = Decoding((8, 8), "squash", 1, value_range)
    replace(GRAY, decoding=decoding).save(tmp_path)
    interface = load_interface(tmp_path)
    low, high = value_range or (0, 65535)
    assert interface.decoding == decoding
    assert interface.read(tmp_path / "dark.png").mean() == round(255 * (1023 - low) / (high - low))


def test_a_range_that_is_none_is_an_error(tmp_path: Path) -> None:
    replace(GRAY, decoding=Decoding((8, 8), "squash", 1, (4095.0, 0.0))).save(tmp_path)
    with pytest.raises(ModelError) as caught:
        load_interface(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/interface.json cannot be read: expected an ascending value_range. Received: "
        "[4095.0, 0.0]. Expected the directory of a model that `pipeline run` logged or `pipeline "
        "export` wrote."
    )


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_interface(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/interface.json cannot be read: [Errno 2] No such file or directory: "
        f"'{tmp_path}/interface.json'. Expected the directory of a model that `pipeline run` "
        "logged or `pipeline export` wrote."
    )


def test_an_unknown_resize_is_an_error(tmp_path: Path) -> None:
    GRAY.save(tmp_path)
    content = json.loads((tmp_path / "interface.json").read_text())
    content["decoding"]["resize"] = "stretch"
    (tmp_path / "interface.json").write_text(json.dumps(content))
    with pytest.raises(ModelError) as caught:
        load_interface(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/interface.json cannot be read: expected 1 or 3 channels and resize crop, pad "
        "or squash. Received: 1 and 'stretch'. Expected the directory of a model that `pipeline "
        "run` logged or `pipeline export` wrote."
    )


NUMBERS = ModelInterface("classification", ("no", "yes"), None, ("a", "b"))


def test_a_model_of_numbers_keeps_their_names_and_reads_no_image(tmp_path: Path) -> None:
    NUMBERS.save(tmp_path)
    interface = load_interface(tmp_path)
    assert (interface, interface.input_shape) == (NUMBERS, (2,))
    with pytest.raises(UsageError) as caught:
        interface.read("photograph.jpg")
    assert str(caught.value) == (
        "The model takes no images but the numbers a, b. Give it a table with these columns."
    )


def test_a_model_takes_either_images_or_numbers(tmp_path: Path) -> None:
    replace(NUMBERS, feature_names=None).save(tmp_path)
    with pytest.raises(ModelError) as caught:
        load_interface(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/interface.json: expected either a decoding, of a model of images, or "
        "feature_names, of a model of numbers."
    )
