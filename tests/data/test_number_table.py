"""A table whose rows are examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris

from pipeline.data.folds import draw_folds, pooled_images
from pipeline.data.number_table import NumberTableConfig
from pipeline.errors import DataError, RecipeError
from pipeline.recipe.loader import load_recipe

FEATURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fisher's 150 irises."""
    iris = load_iris()
    names = [str(name) for name in iris.target_names]
    rows = [",".join((*FEATURES, "species", "length"))]
    for numbers, label in zip(iris.data, iris.target, strict=True):
        rows.append(f"{','.join(map(str, numbers))},{names[label]},{numbers[0]}")
    path = tmp_path_factory.mktemp("flowers") / "iris.csv"
    path.write_text("\n".join(rows))
    return path


def table(path: Path, **keys: Any) -> NumberTableConfig:
    return NumberTableConfig.model_validate(
        {"source": "table", "path": str(path), "features": FEATURES, **keys}
    )


def test_the_columns_of_numbers_are_the_examples_and_another_one_their_classes(
    flowers: Path,
) -> None:
    config = table(flowers)
    splits = config.load()
    assert {name: np.bincount(one.labels).tolist() for name, one in splits.named().items()} == {
        "train": [30, 30, 30],
        "val": [10, 10, 10],
        "test": [10, 10, 10],
    }
    assert splits.feature_names == FEATURES
    assert config.class_names() == splits.class_names == ("setosa", "versicolor", "virginica")
    read = splits.train.images.read(np.array([0]))
    assert read.dtype == np.float32
    first = int(splits.train.names[0])
    np.testing.assert_allclose(read[0], load_iris().data[first], rtol=1e-6)


def test_a_column_of_numbers_can_be_the_label(flowers: Path) -> None:
    splits = table(flowers, task="regression", features=FEATURES[1:], columns={"label": "length"})
    loaded = splits.load()
    assert (loaded.class_names, loaded.train.labels.dtype) == ((), np.float32)


def test_splits_that_the_table_has_stay_and_the_others_are_drawn(tmp_path: Path) -> None:
    rows = [f"{n},{n % 2},{'test' if n < 4 else ''}" for n in range(24)]
    (tmp_path / "t.csv").write_text("\n".join(["x,label,split", *rows]))
    config = table(tmp_path / "t.csv", features=("x",), test=0.5)
    splits = config.load()
    assert sorted(map(int, splits.named()["test"].names)) == [0, 1, 2, 3]
    assert {name: len(split) for name, split in splits.named().items()} == {
        "train": 16,
        "val": 4,
        "test": 4,
    }
    assert list(config.warnings()) == [
        (("test",), "has no effect: the table has its own test split.")
    ]
    assert config.describe_files() == (
        f"Found 24 rows of 1 numbers in {tmp_path}/t.csv: test 4, train 20."
    )


def test_what_is_no_number_is_an_error_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,label\n1,a\nnone,b\n")
    with pytest.raises(DataError) as caught:
        table(tmp_path / "t.csv", features=("x",)).load()
    assert str(caught.value) == (
        f"data.features: expected a number for x in line 3 of {tmp_path}/t.csv. Received none."
    )


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        (
            "features: [x, z]",
            "data.features: {path} has no column z. Expected one of: x, label.",
        ),
        (
            "features: [x, label], columns: {label: label}",
            "data.features: has the column of the labels, label. Remove it.",
        ),
        (
            "features: [x], image_size: [8, 8]",
            "data.image_size: unknown key. Expected one of: source, task, batch_size, sampling, "
            "split_seed, path, features, columns, separator, group_by, validation, test. "
            "'image_size' belongs to source digits or image_folder or mnist or table.",
        ),
    ],
)
def test_a_recipe_with_a_wrong_key_is_an_error(tmp_path: Path, keys: str, problem: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,label\n1,a\n2,b\n")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"data: {{source: table, path: t.csv, {keys}}}\nmodel: {{architecture: mlp}}\n"
    )
    with pytest.raises(RecipeError) as caught:
        load_recipe(recipe)
    (found,) = caught.value.problems
    assert f"{found.path}: {found.message}" == problem.format(path=path)


def visits(path: Path, patients: int) -> Path:
    """A table of four visits of each patient, in the order of the visits."""
    rows = [f"{n / 7},{n % 2},p{n % patients}" for n in range(4 * patients)]
    path.write_text("\n".join(["x,label,patient", *rows]))
    return path


def test_rows_of_a_group_are_in_one_split_and_in_one_fold(tmp_path: Path) -> None:
    path = visits(tmp_path / "visits.csv", 15)
    config = table(path, features=("x",), group_by={"column": "patient"})
    loaded = config.load()
    assert {name: len(split) for name, split in loaded.named().items()} == {
        "train": 36,
        "val": 12,
        "test": 12,
    }
    patients = [
        {int(row) % 15 for row in split.names}
        for split in (loaded.named()[n] for n in ("train", "val", "test"))
    ]
    assert sum(map(len, patients)) == 15
    for fold in draw_folds(loaded, count=3, repeats=1, seed=0):
        judged = {int(pooled_images(loaded).names[row]) % 15 for row in fold.test}
        learned = {int(pooled_images(loaded).names[row]) % 15 for row in fold.train}
        assert not judged & learned


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"features": ("x",), "group_by": {"column": "doctor"}},
            "data.group_by: {path} has no column doctor. Expected one of: x, label, patient.",
        ),
        (
            {"features": ("x",), "group_by": {"column": "patient"}},
            "data.group_by: no rows are left for val and test, because the 8 rows have 2 different "
            "values of patient. Set data.validation and data.test to 0 where there are too few "
            "groups, or remove data.group_by.",
        ),
    ],
)
def test_groups_that_are_missing_or_too_few_are_an_error(
    tmp_path: Path, keys: dict[str, Any], message: str
) -> None:
    path = visits(tmp_path / "visits.csv", 2)
    with pytest.raises(DataError) as error:
        table(path, **keys).load()
    assert str(error.value) == message.format(path=path)
