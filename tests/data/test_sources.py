"""The table of sources."""

from __future__ import annotations

from typing import get_args

import pytest

from pipeline.data.source_config import SourceConfig
from pipeline.data.sources import SOURCES

EVERY_SOURCE = pytest.mark.parametrize("name", SOURCES)


@EVERY_SOURCE
def test_a_source_is_found_under_its_name(name: str) -> None:
    assert get_args(SOURCES[name].CONFIG.model_fields["source"].annotation) == (name,)


@EVERY_SOURCE
def test_a_source_has_the_keys_that_every_source_has(name: str) -> None:
    keys = SOURCES[name].CONFIG
    assert issubclass(keys, SourceConfig)
    assert {"image_size", "validation"} <= set(keys.model_fields)


@EVERY_SOURCE
def test_a_source_holds_what_is_asked_of_one(name: str) -> None:
    source = SOURCES[name]
    assert isinstance(source.ORIENTATION_MATTERS, bool)
    assert callable(source.class_names)
    assert callable(source.load)


@EVERY_SOURCE
def test_every_key_is_described_or_inherited(name: str) -> None:
    keys = SOURCES[name].CONFIG
    described = {key for key, field in keys.model_fields.items() if field.description}
    assert set(keys.model_fields) - described <= {"source", "augmentation", "batch_size"}
