"""Distances between features, and the file of the training images that they are measured to."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.inference.feature_distance import (
    REFERENCES_FILE,
    DistanceConfig,
    FeatureReferences,
    distance_threshold,
    load_references,
    make_references,
)

CONFIG = DistanceConfig(layer="features", neighbors=5, threshold=1.0, images=100, sha256="")
REMEDY = "Expected the features of training images that `pipeline run` logged with the model."


def write(path: Path, data: bytes) -> DistanceConfig:
    """Write a file of references, and return a configuration that expects it."""
    (path / REFERENCES_FILE).write_bytes(data)
    return replace(CONFIG, sha256=hashlib.sha256(data).hexdigest())


def encoded(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_the_distance_is_that_to_the_kth_nearest_whatever_the_length_of_features() -> None:
    references = make_references(np.array([[3.0, 0], [0, 4], [-5, 0]]))
    features = np.array([[10.0, 0], [0, 0.1]])
    for k, expected in ((1, [0, 0]), (2, [2**0.5, 2**0.5]), (3, [2, 2**0.5]), (9, [2, 2**0.5])):
        np.testing.assert_allclose(references.distances(features, k), expected, atol=1e-3)


def test_features_that_are_all_zero_have_a_distance() -> None:
    references = make_references(np.eye(3))
    np.testing.assert_allclose(references.distances(np.zeros((1, 3)), 1), [2**0.5])


def test_the_threshold_is_the_finite_sample_quantile() -> None:
    assert distance_threshold(np.arange(19.0)) == 18
    assert distance_threshold(np.arange(99.0)) == 94


def test_distances_are_the_same_after_writing_and_reading(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    references = make_references(generator.random((40, 8)))
    read = load_references(tmp_path, write(tmp_path, references.encode()))
    features = generator.random((5, 8))
    np.testing.assert_array_equal(read.distances(features, 5), references.distances(features, 5))


@pytest.mark.parametrize(
    "data",
    [
        encoded(np.ones((3, 2))),
        encoded(np.ones((0, 2), np.float16)),
        encoded(np.ones(3, np.float16)),
        encoded(np.full((3, 2), np.inf, np.float16)),
        encoded(np.array([[Path()]], object)),
        b"",
        b"no array",
    ],
    ids=["float64", "empty", "one dimension", "infinite", "pickled", "no bytes", "text"],
)
def test_another_content_is_an_error(tmp_path: Path, data: bytes) -> None:
    config = write(tmp_path, data)
    with pytest.raises(ModelError) as caught:
        load_references(tmp_path, config)
    assert str(caught.value) == (
        f"{tmp_path / REFERENCES_FILE} cannot be used: expected a table of finite float16 numbers. "
        f"{REMEDY}"
    )


def test_a_file_that_is_not_the_models_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, FeatureReferences(np.ones((3, 2), np.float16)).encode())
    with pytest.raises(ModelError) as caught:
        load_references(tmp_path, CONFIG)
    assert str(caught.value) == (
        f"{tmp_path / REFERENCES_FILE} cannot be used: it is not the file that was written with "
        f"the model. {REMEDY}"
    )


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / REFERENCES_FILE).open("wb") as file:
        file.truncate(2**33)
    with pytest.raises(ModelError, match="8,589,934,592 bytes, more than any model needs"):
        load_references(tmp_path, CONFIG)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be used: No such file or directory"):
        load_references(tmp_path, CONFIG)
