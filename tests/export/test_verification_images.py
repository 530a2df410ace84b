"""The images on which exports are verified."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.data.digits import DigitsConfig
from pipeline.data.image_decoding import Decoding
from pipeline.data.image_folder import ImageFolderConfig
from pipeline.errors import UsageError
from pipeline.even_spacing import evenly_spaced
from pipeline.export import verification_images
from pipeline.inference.model_interface import ModelInterface

GRAY = ModelInterface("classification", tuple("0123456789"), Decoding((8, 8), "squash", 1))


def test_they_are_spread_over_the_validation_split() -> None:
    images = verification_images.images_from_source(DigitsConfig(source="digits"))
    assert images.shape == (verification_images.MAX_IMAGES, 8, 8, 1)  # of 269


@pytest.mark.parametrize(("test", "split"), [(0.1, "test"), (0.0, "train")])
def test_without_validation_images_they_are_test_or_training_images(
    test: float, split: str
) -> None:
    config = DigitsConfig(source="digits", validation=0.0, test=test)
    expected = config.load().named()[split]
    images = verification_images.images_from_source(config)
    spread = evenly_spaced(len(expected), at_most=verification_images.MAX_IMAGES)
    np.testing.assert_array_equal(images, expected.images.read(np.array(spread)))


def test_missing_data_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    config = ImageFolderConfig(source="image_folder", path=tmp_path / "gone")
    with pytest.raises(UsageError) as caught:
        verification_images.images_from_source(config)
    assert str(caught.value) == (
        f"The data of the run is not available: data.path: the directory {tmp_path}/gone does "
        "not exist. Verify the export on other images, or on tables of numbers, with --images."
    )


def test_files_are_read_as_the_model_reads_them(digit_files: Path) -> None:
    assert verification_images.images_from_files([str(digit_files)], GRAY).shape == (100, 8, 8, 1)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    with pytest.raises(UsageError) as caught:
        verification_images.images_from_files([f"{tmp_path}/empty.png"], GRAY)
    assert str(caught.value) == f"{tmp_path}/empty.png cannot be read: the file is empty."
