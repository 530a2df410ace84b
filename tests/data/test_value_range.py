"""The range of samples of a data set."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.config import RangeSetting
from pipeline.data.image_folder import ImageFolderConfig
from pipeline.data.splits import Splits
from pipeline.data.value_range import describe_clipping, resolve_range

NAN = float("nan")


def resolved(
    setting: RangeSetting, lowest: Sequence[float], highest: Sequence[float]
) -> tuple[float, float] | None:
    return resolve_range(setting, np.array(lowest), np.array(highest))


@pytest.mark.parametrize(
    ("lowest", "highest", "expected"),
    [
        ([NAN, NAN], [NAN, NAN], None),
        ([NAN, 3, 0], [NAN, 900, 1023], (0, 1023)),
        ([3, 7], [1024, 3000], (0, 4095)),
        ([0], [4096], (0, 16383)),
        ([0], [65535], (0, 65535)),
        ([0], [200], (0, 255)),
        ([5], [70_000], (5, 70_000)),
        ([-1024, -1000], [1500, 3071], (-1024, 3071)),
        ([0.0, 0.1], [0.9, 0.4], (0, 1)),
        ([0.5], [3.75], (0.5, 3.75)),
        ([70_000], [70_000], (70_000, 70_001)),
    ],
)
def test_auto_is_the_usual_range_that_the_training_images_fit(
    lowest: list[float], highest: list[float], expected: tuple[float, float] | None
) -> None:
    assert resolved("auto", lowest, highest) == expected


def test_a_stated_range_and_that_of_the_type_do_not_depend_on_the_images() -> None:
    assert resolved((0.0, 1000.0), [0], [4000]) == (0, 1000)
    assert resolved("dtype", [0], [4000]) is None


def test_images_outside_the_range_are_counted() -> None:
    lowest, highest = np.array([NAN, 0, 10, -5]), np.array([NAN, 4095, 5000, 100])
    assert describe_clipping((0, 4095), lowest, highest) == (
        "Samples of 2 of 4 images are clipped to 0 to 4,095: they go from -5 to 5,000. Set "
        "data.range to change it."
    )
    assert describe_clipping((-5, 5000), lowest, highest) == ""
    assert describe_clipping(None, lowest, highest) == ""


@pytest.fixture
def detector(photographs: Path, tmp_path: Path) -> Path:
    """Photographs as a detector of 12 bits takes them, in PNG and TIFF files of 16 bits."""
    for split, count in (("train", 4), ("val", 2)):
        for name in ("ants", "bees"):
            directory = tmp_path / split / name
            directory.mkdir(parents=True)
            paths = sorted((photographs / split / name).glob("*.jpg"))[:count]
            for number, path in enumerate(paths):
                with Image.open(path) as image:
                    gray = np.asarray(image.convert("L").resize((24, 24)))
                suffix = ("png", "tiff")[number % 2]
                samples = Image.fromarray(gray.astype(np.uint16) * 16)
                samples.save(directory / f"{number}.{suffix}")
    return tmp_path


def load(path: Path, keys: Mapping[str, object]) -> Splits:
    section = {"source": "image_folder", "path": str(path), "image_size": [24, 24], **keys}
    return ImageFolderConfig.model_validate(section).load()


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_12_bits_have_the_brightness_of_those_of_8(
    detector: Path, caplog: pytest.LogCaptureFixture, channels: int
) -> None:
    caplog.set_level("INFO", "pipeline")
    splits = load(detector, {"channels": channels})
    assert splits.value_range == (0, 4095)
    pixels = splits.train.images.read(np.arange(4))
    with Image.open(detector / splits.train.names[1]) as image:
        expected = np.asarray(image) / 4095 * 255
    np.testing.assert_allclose(pixels[1], np.stack([expected] * channels, -1), atol=0.51)
    assert sum("Scaling images with more than 8 bits from 0 to 4,095" in m for m in caplog.messages)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_the_range_is_part_of_what_identifies_the_images(detector: Path) -> None:
    automatic, of_type = load(detector, {}), load(detector, {"range": "dtype"})
    assert of_type.value_range is None
    assert of_type.train.images.read(np.arange(4)).max() <= 16
    assert automatic.train.digest != of_type.train.digest
    assert load(detector, {"range": [0, 4095]}).train.digest == automatic.train.digest


def test_what_a_stated_range_clips_is_a_warning(
    detector: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load(detector, {"range": [0, 400]})
    (warning,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warning.startswith("Samples of 12 of 12 images are clipped to 0 to 400: they go from ")


def test_validation_images_do_not_change_the_range(
    detector: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bright = Image.fromarray(np.full((24, 24), 60_000, np.uint16))
    bright.save(detector / "val" / "ants" / "0.png")
    assert load(detector, {}).value_range == (0, 4095)
    (warning,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warning.startswith("Samples of 1 of 12 images are clipped to 0 to 4,095: ")


def test_photographs_of_8_bits_are_as_before_beside_them(detector: Path, photographs: Path) -> None:
    shutil.copy(photographs / "train" / "ants" / "0013035.jpg", detector / "train" / "ants")
    mixed = load(detector, {})
    for path in detector.rglob("*.png"):
        path.unlink()
    for path in detector.rglob("*.tiff"):
        Image.new("L", (24, 24)).save(path.with_suffix(".bmp"))
        path.unlink()
    index = mixed.train.names.index("train/ants/0013035.jpg")
    alone = load(detector, {})
    assert alone.value_range is None
    other = list(alone.train.names).index("train/ants/0013035.jpg")
    np.testing.assert_array_equal(
        mixed.train.images.read(np.array([index])), alone.train.images.read(np.array([other]))
    )
