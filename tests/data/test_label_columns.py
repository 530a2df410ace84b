"""Tables of images with several labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.data.label_columns import LabelColumns, RowLabels, read_labels
from pipeline.data.table_reader import read_table
from pipeline.errors import DataError

USUAL = LabelColumns(None, None, None)


def labels_of(root: Path, text: str, columns: LabelColumns = USUAL) -> RowLabels:
    path = root / ("labels.jsonl" if text.startswith("{") else "labels.csv")
    path.write_text(text, "utf-8")
    return read_labels(read_table(path), columns, "classes")


def test_columns_of_0_and_1_are_classes(tmp_path: Path) -> None:
    text = "Filenames,sea,sun,width\n1.jpg,1,0,640\n2.jpg,1,1,640\n3.jpg,0,0.0,1\n"
    labels = labels_of(tmp_path, text)
    assert labels.class_names == ("sea", "sun")
    expected = np.array([[1, 0], [1, 1], [0, 0]], bool)
    np.testing.assert_array_equal(labels.array(), expected)
    assert [labels.describe(row) for row in range(3)] == ["sea", "sea, sun", "none"]
    chosen = labels_of(tmp_path, text, LabelColumns(None, ("sun",), None))
    np.testing.assert_array_equal(chosen.array(), expected[:, 1:])


@pytest.mark.parametrize(
    ("values", "separator"),
    [
        (("sun|sea", "sea", ""), None),
        (("sun; sea", "sea", ""), None),
        (("sun sea", "sea", ""), " "),
        (("\"['sun', 'sea']\"", "\"['sea']\"", "[]"), None),
    ],
)
def test_names_may_be_joined(tmp_path: Path, values: list[str], separator: str | None) -> None:
    text = "image,label\n" + "".join(f"{i}.jpg,{value}\n" for i, value in enumerate(values))
    labels = labels_of(tmp_path, text, LabelColumns(None, None, separator))
    assert labels.class_names == ("sea", "sun")
    np.testing.assert_array_equal(labels.array(), [[1, 1], [1, 0], [0, 0]])


def test_names_may_be_a_list(tmp_path: Path) -> None:
    text = '{"image": "1.jpg", "labels": ["sun", "sea"]}\n{"image": "2.jpg", "labels": []}\n'
    np.testing.assert_array_equal(labels_of(tmp_path, text).array(), [[1, 1], [0, 0]])


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        (
            "image,sea\n1.jpg,2\n",
            LabelColumns(None, ("sea",), None),
            "data.columns.labels: expected 0 or 1 for sea in line 2 of {path}. Received 2.",
        ),
        (
            "image,sea\n1.jpg,1\n",
            LabelColumns(None, ("sea", "sun"), None),
            "data.columns.labels: {path} has no column sun. Expected one of: image, sea.",
        ),
        ("image,label\n1.jpg,\n", USUAL, "data.columns: no row of {path} has a label in label."),
        (
            "image,width\n1.jpg,7\n",
            USUAL,
            "data.columns: no column of {path} is known to be the label column. Set "
            "data.columns.label, or add a first line with the names of the columns. Received: "
            "image, width.",
        ),
        (
            '{"image": "1.jpg", "label": [[1]]}\n',
            USUAL,
            "data.columns: the label in line 1 of {path} is no list of names: [['1']]. Expected "
            "names, joined with a character or in a list.",
        ),
    ],
)
def test_other_columns_are_errors(
    tmp_path: Path, text: str, columns: LabelColumns, message: str
) -> None:
    with pytest.raises(DataError) as caught:
        labels_of(tmp_path, text, columns)
    (path,) = tmp_path.iterdir()
    assert str(caught.value) == message.format(path=path)
