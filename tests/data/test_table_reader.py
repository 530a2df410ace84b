"""Tables: every value is read as it is written."""

from __future__ import annotations

from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from pipeline.data.table_reader import read_table
from pipeline.errors import DataError


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def error_of(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_table(path)
    return str(caught.value)


VALUES = ["01", "NA", "no", "1.0", "1e3", "2024-01-02", "None", "true", "café", " a "]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".CSV"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_values_stay_as_they_are_written(
    tmp_path: Path, suffix: str, encoding: str, delimiter: str, newline: str
) -> None:
    rows = [delimiter.join(row) for row in (("image", "label"), *((f"{v}.jpg", v) for v in VALUES))]
    table = read_table(write(tmp_path / f"a{suffix}", newline.join(rows), encoding))
    assert table.columns == {"image": [f"{value}.jpg" for value in VALUES], "label": VALUES}
    assert list(table.lines) == list(range(2, 12))


def test_a_value_in_quotes_may_have_anything(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'image,label\n"1,""2"".jpg","a\nb"\n\n2.jpg,c\n')
    table = read_table(path)
    assert table.columns == {"image": ['1,"2".jpg', "2.jpg"], "label": ["a\nb", "c"]}
    assert [table.where(row) for row in (0, 1)] == ["line 2", "line 5"]


def test_json_lines_stay_as_they_are_written(tmp_path: Path) -> None:
    rows = '{"image": "1.jpg", "label": 1.0}\n\n{"label": 10, "image": "2.jpg"}\n'
    path = write(tmp_path / "a.jsonl", rows)
    table = read_table(path)
    assert table.columns == {"image": ["1.jpg", "2.jpg"], "label": ["1.0", "10"]}
    assert table.where(1) == "line 3"
    path = write(path, '{"a": true}\n{"b": null, "a": ["x", "y"]}\n{"b": "z"}')
    assert read_table(path).columns == {"a": ["true", ["x", "y"], None], "b": [None, None, "z"]}


def test_parquet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    columns = {"image": ["1.jpg", "2.jpg"], "label": ["01", "NA"], "number": [1, None]}
    parquet.write_table(pyarrow.table(columns), path)
    table = read_table(path)
    assert table.columns == {
        "image": ["1.jpg", "2.jpg"],
        "label": ["01", "NA"],
        "number": ["1", None],
    }
    assert table.where(1) == "row 2"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "image,label\n1.jpg\n", ":2: expected 2 values, as many as there are columns. "
         "Received 1."),
        ("a.csv", 'image,label\n1.jpg,"a\n', ":2: the row is damaged: unexpected end of data."),
        ("a.csv", "image,label,label\n", " has several columns with the name label."),
        ("a.csv", "image,label\n", " has no rows."),
        ("a.csv", "", " has no rows."),
        ("a.jsonl", '{"a": 1}\n{"a": \n', ":2: not JSON: Expecting value."),
        ("a.jsonl", "[1]", ':1: expected a JSON object, as in {"image": "1.jpg", "label": "ant"}.'),
        ("a.parquet", "no", " is not a Parquet file: Parquet file size is 2 bytes, smaller than "
         "the minimum file footer (8 bytes)"),
        ("a.xlsx", "", " is not a table that can be read. Expected a file with one of these "
         "suffixes: .csv, .tsv, .tab, .jsonl, .ndjson, .parquet, .pq."),
    ],
)  # fmt: skip
def test_a_damaged_table_is_an_error_with_its_line(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    path = write(tmp_path / name, text)
    assert error_of(path) == f"data.path: {path}{message}"


def test_another_encoding_is_an_error_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "image,label\n1.jpg,café\n", "latin-1")
    assert error_of(path) == f"data.path: {path}:2: the file is not UTF-8. Save it as UTF-8."


def test_an_absent_table_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    assert error_of(path) == f"data.path: {path} cannot be read: No such file or directory."
