"""The digests of the images that a model was trained or chosen on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline.data.image_digests import (
    FILE_NAME,
    image_digests,
    read_image_digests,
    write_image_digests,
)
from pipeline.data.splits import DuplicateImage, Splits
from pipeline.errors import DataError
from pipeline.recipe.loader import load_recipe


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    path = tmp_path_factory.mktemp("digests") / "recipe.yaml"
    path.write_text("data: {source: digits}\nmodel: {architecture: mlp}\n")
    return load_recipe(path).recipe.data.load()


def copies_of(splits: Splits, *images: tuple[str, int]) -> tuple[DuplicateImage, ...]:
    return tuple(
        DuplicateImage(name, index, "", 0, splits.named()[name].hex_digests()[index], 0)
        for name, index in images
    )


def test_the_images_of_each_split_are_found_again_in_the_file(
    splits: Splits, tmp_path: Path
) -> None:
    write_image_digests(image_digests(splits), tmp_path)
    found = read_image_digests(tmp_path)
    assert found is not None
    expected = {"train": (True, False), "val": (False, True), "test": (False, False)}
    for name, split in splits.named().items():
        trained, chosen = found.find(split.image_digests)
        assert (set(trained), set(chosen)) == tuple({value} for value in expected[name])


def test_the_file_can_be_read_as_a_table(splits: Splits, tmp_path: Path) -> None:
    write_image_digests(image_digests(splits), tmp_path)
    rows = parquet.read_table(tmp_path / FILE_NAME).to_pylist()
    assert len(rows) == len(splits.train) + len(splits.named()["val"])
    first = splits.train.image_digests[0].tobytes()[:16]
    assert [row["split"] for row in rows if row["digest"] == first] == ["train"]


def test_copies_count_as_the_image_that_the_model_knows(splits: Splits) -> None:
    known = replace(
        splits,
        duplicates=(
            copies_of(splits, ("train", 3), ("val", 5), ("test", 7)),
            copies_of(splits, ("val", 6), ("test", 8)),
            copies_of(splits, ("test", 9), ("test", 10)),
        ),
    )
    digests = image_digests(known)
    trained, chosen = digests.find(splits.named()["test"].image_digests)
    assert (np.flatnonzero(trained).tolist(), np.flatnonzero(chosen).tolist()) == ([7], [8])
    trained, chosen = digests.find(splits.named()["val"].image_digests)
    assert np.flatnonzero(trained).tolist() == [5]
    assert np.flatnonzero(~chosen).tolist() == [5]


def test_without_validation_images_none_are_chosen_on(splits: Splits) -> None:
    digests = image_digests(replace(splits, validation=None))
    assert digests.is_training.all()
    assert len(digests.digests) == len(splits.train)


def test_a_directory_without_the_file_has_no_digests(tmp_path: Path) -> None:
    assert read_image_digests(tmp_path) is None


@pytest.mark.parametrize(
    "columns",
    [
        {"digest": [b"short"], "split": ["train"]},
        {"digest": [b"x" * 16], "split": ["other"]},
        {"digest": [None], "split": ["train"]},
        {"digest": [b"x" * 16]},
    ],
)
def test_a_file_of_another_format_is_an_error(tmp_path: Path, columns: dict[str, object]) -> None:
    parquet.write_table(pa.table(columns), tmp_path / FILE_NAME)
    with pytest.raises(DataError, match=f"{FILE_NAME} cannot be read: "):
        read_image_digests(tmp_path)


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no table")
    with pytest.raises(DataError, match=f"{FILE_NAME} cannot be read: "):
        read_image_digests(tmp_path)
