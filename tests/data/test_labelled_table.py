"""A table of labelled images, for a model with classes of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.data.labelled_table import find_labelled_rows
from pipeline.errors import DataError


def table(root: Path, text: str) -> Path:
    (root / "images").mkdir()
    for number in (1, 2):
        (root / "images" / f"{number}.jpg").touch()
    (root / "labels.csv").write_text(text)
    return root / "labels.csv"


def test_labels_are_in_the_order_of_the_model(tmp_path: Path) -> None:
    path = table(tmp_path, "image,label\n1.jpg,sea|sun\n2.jpg,sea\n")
    names = ("sun", "trees", "sea")
    root, files, labels = find_labelled_rows(path, tmp_path / "images", "multi_label", names)
    assert root.path == tmp_path / "images"
    assert [file.name for file in files] == ["1.jpg", "2.jpg"]
    np.testing.assert_array_equal(labels, [[1, 0, 1], [0, 0, 1]])


def test_a_label_may_be_one_class(tmp_path: Path) -> None:
    path = table(tmp_path, "image,label\n1.jpg,sea\n2.jpg,sun\n")
    names = ("sun", "trees", "sea")
    _, _, labels = find_labelled_rows(path, tmp_path / "images", "classification", names)
    assert labels.tolist() == [2, 0]


def test_a_class_that_the_model_lacks_is_an_error(tmp_path: Path) -> None:
    path = table(tmp_path, "image,label\n1.jpg,sea\n2.jpg,fog\n")
    with pytest.raises(DataError) as caught:
        find_labelled_rows(path, tmp_path / "images", "multi_label", ("sea", "sun"))
    assert str(caught.value) == (
        f"The model has no class fog, which is in {path}. Expected its classes: sea, sun."
    )
