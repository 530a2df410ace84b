"""The images that exports are compared on."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.data.digits import DigitsConfig
from pipeline.data.image_folder import ImageFolderConfig as FolderKeys
from pipeline.errors import UsageError
from pipeline.export import comparison_images
from pipeline.inference.model_interface import ModelInterface

GRAY = ModelInterface(tuple("0123456789"), (8, 8), 1, "squash")


def test_they_are_spread_over_the_validation_split() -> None:
    found = comparison_images.validation_images(DigitsConfig(source="digits"))
    assert found.shape == (comparison_images.MAX_IMAGES, 8, 8, 1)  # of 269


def test_data_that_is_gone_is_told_with_what_to_do(tmp_path: Path) -> None:
    keys = FolderKeys(source="image_folder", path=tmp_path / "gone")
    with pytest.raises(UsageError) as refused:
        comparison_images.validation_images(keys)
    assert str(refused.value) == (
        "The images that the model was validated on cannot be had: data.path: the directory "
        f"{tmp_path}/gone does not exist. Name others to compare the export on with --images."
    )


def test_files_are_read_as_the_model_reads_them(digit_files: Path) -> None:
    files = sorted(digit_files.iterdir())
    assert comparison_images.images_from_files(files, GRAY).shape == (100, 8, 8, 1)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        comparison_images.images_from_files([tmp_path / "absent.png"], GRAY)
    assert str(refused.value) == f"{tmp_path}/absent.png cannot be read: No such file or directory."
