"""Points that are computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from pipeline.data.generated import GeneratedConfig
from pipeline.data.splits import Splits
from pipeline.errors import DataError
from pipeline.workflows.data_inspection import inspect


def generated(kind: Any, **keys: Any) -> GeneratedConfig:
    return GeneratedConfig.model_validate({"source": "generated", "kind": kind, **keys})


def arrays_of(splits: Splits) -> tuple[np.ndarray, np.ndarray]:
    parts = list(splits.named().values())
    points = np.concatenate([part.images.read(np.arange(len(part))) for part in parts])
    return points, np.concatenate([part.labels for part in parts])


@pytest.mark.parametrize(
    ("kind", "outputs"),
    [("and", [0, 0, 0, 1]), ("or", [0, 1, 1, 1]), ("nand", [1, 1, 1, 0]), ("xor", [0, 1, 1, 0])],
)
def test_a_truth_table_has_each_row_equally_often(kind: str, outputs: list[int]) -> None:
    points, labels = arrays_of(generated(kind, samples=8, validation=0.0, test=0.0).load())
    assert points.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]] * 2
    assert labels.tolist() == outputs * 2


@pytest.mark.parametrize("kind", ["moons", "circles", "spirals"])
def test_a_figure_is_two_classes_that_no_line_divides(kind: str) -> None:
    splits = generated(kind, noise=0.02).load()
    points, labels = arrays_of(splits)
    assert splits.class_names == ("0", "1")
    assert np.bincount(labels).tolist() == [100, 100]
    assert LogisticRegression().fit(points, labels).score(points, labels) < 0.95
    nearest = KNeighborsClassifier(1).fit(points[::2], labels[::2])
    assert nearest.score(points[1::2], labels[1::2]) > 0.95


def test_blobs_are_as_many_classes_as_the_recipe_says() -> None:
    splits = generated({"blobs": {"classes": 4}}).load()
    points, labels = arrays_of(splits)
    assert splits.class_names == ("0", "1", "2", "3")
    assert LogisticRegression().fit(points, labels).score(points, labels) > 0.98


def test_noise_moves_the_points_by_its_standard_deviation() -> None:
    clean, noisy = (
        arrays_of(generated("moons", samples=2000, noise=noise).load())[0] for noise in (0.0, 0.1)
    )
    assert np.std(noisy - clean) == pytest.approx(0.1, rel=0.05)


def test_the_seed_determines_the_points() -> None:
    first, again, other = (generated("blobs", split_seed=seed).load().digest for seed in (1, 1, 2))
    assert first == again != other


def test_every_split_has_its_fraction_of_each_class() -> None:
    splits = generated("moons", samples=100, validation=0.3, test=0.1).load()
    assert {name: np.bincount(split.labels).tolist() for name, split in splits.named().items()} == {
        "train": [30, 30],
        "val": [15, 15],
        "test": [5, 5],
    }


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("line", lambda x: 2 * x + 1),
        ({"line": {"slope": -1.5, "intercept": 0.5, "range": [-2, 2]}}, lambda x: 0.5 - 1.5 * x),
        ("steps", lambda x: ((x >= 1 / 3) & (x < 2 / 3)).astype(float)),
        (
            {"function": {"expression": "sin(3 * x) + x ** 2", "range": [-1, 2]}},
            lambda x: np.sin(3 * x) + x**2,
        ),
        ({"function": {"expression": "x"}}, lambda x: x),
    ],
)
def test_a_function_is_labelled_with_its_values(kind: Any, expected: Any) -> None:
    splits = generated(kind, task="regression", samples=97).load()
    points, labels = arrays_of(splits)
    assert (splits.class_names, splits.feature_names, points.shape) == ((), ("x",), (97, 1))
    assert labels.dtype == np.float32
    np.testing.assert_allclose(labels, expected(points[:, 0]), atol=1e-5)


def test_numbers_as_labels_are_inspected_without_classes(tmp_path: Path) -> None:
    recipe = tmp_path / "line.yaml"
    recipe.write_text(
        "data: {source: generated, task: regression, kind: line}\nmodel: {architecture: mlp}\n"
    )
    assert str(inspect(recipe)) == (
        f"{recipe}: 200 examples\n\n       train  val  test\ntotal    120   40    40\n\n"
        "x  0 to 1, median 0.5"
    )


def test_noise_moves_the_values_of_a_function_not_its_points() -> None:
    points, labels = arrays_of(generated("line", task="regression", noise=0.5).load())
    clean = np.linspace(0, 1, 200)
    np.testing.assert_allclose(np.sort(points[:, 0]), clean, atol=1e-6)
    assert np.std(labels - 2 * points[:, 0] - 1) == pytest.approx(0.5, rel=0.2)


def test_a_function_that_is_undefined_somewhere_is_an_error() -> None:
    config = generated({"function": {"expression": "log(x)"}}, task="regression")
    with pytest.raises(DataError) as caught:
        config.load()
    assert str(caught.value) == (
        "data.kind.function: log(x) is no finite number at x = 0. Change the expression or its "
        "range."
    )


def test_a_function_needs_regression_and_classes_classification() -> None:
    assert generated("steps").tasks == ("regression",)
    assert generated("moons").tasks == ("classification",)
