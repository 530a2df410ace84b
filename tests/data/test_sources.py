"""The interface of all data sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from pipeline.data.image_source import ImageSourceConfig
from pipeline.data.source_config import SourceConfig, SplitName
from pipeline.data.sources import SOURCES


@pytest.fixture(params=SOURCES)
def config(request: pytest.FixtureRequest) -> SourceConfig:
    """The section of a source with small, real data."""
    path: Path | None = None
    if request.param == "mnist":
        path = request.getfixturevalue("mnist_file")
    elif request.param == "image_folder":
        path = request.getfixturevalue("photographs")
    elif request.param == "table":
        path = request.getfixturevalue("tmp_path") / "labels.csv"
        images = sorted((request.getfixturevalue("photographs") / "val").glob("*/*"))
        rows = "\n".join(f"{image},{image.parent.name}" for image in images)
        path.write_text(f"image,label\n{rows}", "utf-8")
    values: dict[str, Any] = {"source": request.param, "path": path}
    if request.param == "generated":
        values["kind"] = "moons"
    else:
        values["image_size"] = (12, 12)
    return SOURCES[request.param].model_validate({k: v for k, v in values.items() if v})


def test_a_source_is_in_the_table_under_its_name(config: SourceConfig) -> None:
    assert get_args(type(config).model_fields["source"].annotation) == (config.source,)


def test_the_class_names_are_known_before_loading(config: SourceConfig) -> None:
    assert list(config.problems()) == list(config.warnings()) == []
    assert config.class_names() == config.load().class_names


def test_splits_have_images_of_the_configured_size_or_numbers(config: SourceConfig) -> None:
    splits = config.load()
    for split in splits.named().values():
        examples = split.images.read(np.arange(2))
        assert (examples.dtype, examples.shape) == (split.images.dtype, (2, *splits.input_shape))
        if isinstance(config, ImageSourceConfig):
            assert (examples.dtype, examples.shape[1:3]) == (np.uint8, (12, 12))
        else:
            assert (examples.dtype, examples.shape[1:]) == (np.float32, (2,))
            assert splits.feature_names == ("x1", "x2")
        assert splits.are_images == isinstance(config, ImageSourceConfig)
        assert set(split.labels) == set(range(len(splits.class_names)))


def test_the_splits_are_known_before_loading(config: SourceConfig) -> None:
    shares = {"validation": 0.0, "test": 0.0}
    fields = type(config).model_fields
    trained_on = config.model_copy(update={k: v for k, v in shares.items() if k in fields})
    names: tuple[SplitName, SplitName] = ("val", "test")
    for one in (config, trained_on):
        loaded = one.load().named()
        assert {name: one.has_split(name) for name in names} == {
            name: name in loaded for name in names
        }


def test_names_are_files_below_the_image_root(config: SourceConfig) -> None:
    if config.image_root is None:
        pytest.skip("the images of this source are not files")
    names = config.load().named()["val"].names
    assert all(Path(str(config.image_root.join(name))).is_file() for name in names)


@pytest.mark.parametrize("name", SOURCES)
def test_every_key_has_a_description(name: str) -> None:
    fields = SOURCES[name].model_fields
    assert [key for key, field in fields.items() if not field.description] == ["source"]
